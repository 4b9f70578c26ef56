"""Files that are often met and not read: what they are, and what to do with them."""

from __future__ import annotations

import re
import zipfile
import zlib
from pathlib import Path

from portanet.data.readers.zips import open_zip
from portanet.errors import DataError

_BY_START = {
    b"\x89HDF": "an HDF5 file",
    b"SQLite": "an SQLite database",
    b"%PDF": "a PDF",
    b"\x80\x04": "a pickle, which can run code",
    b"\x80\x05": "a pickle, which can run code",
    b"\x89PNG": "a single image: give a folder of images by class",
    b"\xff\xd8\xff": "a single image: give a folder of images by class",
    b"ARROW1": "an Arrow (Feather) file: save it as Parquet, with pandas.read_feather(...).to_parquet(...)",
    b"FEA1": "a Feather file: save it as Parquet, with pandas.read_feather(...).to_parquet(...)",
    b"\xff\xff\xff\xff": "an Arrow stream: save it as Parquet, with pyarrow.parquet.write_table",
    b"BZh": "a bzip2 file: unpack it with bunzip2",
    b"\xfd7zXZ": "an xz file: unpack it with unxz",
    b"\x28\xb5\x2f\xfd": "a Zstandard file: unpack it with unzstd",
    b"7z\xbc\xaf": "a 7z archive: unpack it",
    b"Rar!": "a RAR archive: unpack it",
    b"\xd0\xcf\x11\xe0": "an old Office document: save the sheet as CSV",
    b"RDX": "an R data file: save the frame with write.csv in R",
    b"$FL2": "an SPSS file: save it as CSV, with pandas.read_spss(...).to_csv(...)",
}
_TEXT = (
    (rb"\s*<(!doctype|html|head|table)", "an HTML page: download the file itself, not the page that shows it"),
    (rb"\s*<\?xml", "XML: save the table as CSV"),
    (rb"(\s|%[^\n]*\n)*@relation", "ARFF: save it as CSV, with scipy.io.arff.loadarff for example"),
    (rb'\s*(\[\s*)?\{\s*"', "JSON: save it as CSV, with pandas.read_json(..., lines=True or False).to_csv(...)"),
    (
        rb"(\d+:[\d.]+\s|[+-]?[\d.]+\s+\d+:[\d.eE+-]+\s)",
        "LIBSVM text: read it with sklearn.datasets.load_svmlight_file",
    ),
)
_TABLES = re.compile(r"\.(csv|tsv|txt|data|parquet|json|xlsx?)$", re.I)


def stranger(path: Path, start: bytes) -> str:
    """Return in words what a file is that begins so and is not read; "" if it may be read."""
    if start.startswith(b"PK") and zipfile.is_zipfile(path):
        return _of_zip(path)
    found = next((words for magic, words in _BY_START.items() if start.startswith(magic)), "")
    text = start.removeprefix(b"\xef\xbb\xbf")
    return found or next((words for form, words in _TEXT if re.match(form, text, re.I)), "")


def _of_zip(path: Path) -> str:
    try:
        with open_zip(path) as archive:
            names = archive.namelist()[:1000]
            texts = [name for name in names if name.lower().endswith(".txt")]
            digits = any(re.fullmatch(r"(.*/)?\d+_\d+\.txt", name) for name in texts)
            digits = digits or any(re.match(rb"[01]{8}", archive.open(name).read(8)) for name in texts[:1])
    except (DataError, OSError, ValueError, RuntimeError, EOFError, zlib.error, zipfile.BadZipFile):
        return ""  # its reader says why
    if any(name.startswith("xl/") for name in names):
        return "an Excel workbook: save the sheet as CSV"
    tables = [name for name in names if _TABLES.search(name)]
    pictures = any(re.search(r"\.(png|jpe?g|gif|bmp|webp|tiff?|npy)$", name, re.I) for name in names)
    if tables and not digits and not pictures and len(tables) == sum(not name.endswith("/") for name in names):
        return f"a zip that holds {', '.join(tables[:3])}: unpack it, and give the table"
    return ""
