"""The page as files for any web host: Python then runs in the browser, by Pyodide, and no server computes."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from portanet.errors import ConfigError, DataError
from portanet.play.files import page_files

__all__ = ["PYODIDE", "write"]

PYODIDE = "0.29.5"
"""The version whose files are pinned here."""

CORE = {
    "pyodide.mjs": "510ca14305230018f50c40fb81be673afd68080e70ce7733fcce6600dd6a1714",
    "pyodide.asm.js": "356c42f69e1695397e9d8670bd3c2e678248cde76e18bdae1731e848537b47d7",
    "pyodide.asm.wasm": "54309a5a2cfd757b1f0fdbc9093c92503f7b341500110329d932487183912718",
    "python_stdlib.zip": "831fd1e535084b972f87c6a35275de3d236efd5166f5e77ce89497710635e73c",
    "pyodide-lock.json": "14d2c2dba101277999e17135e653d8f15389ad1437f53eae213bf0c3cdff723d",
}
"""SHA-256 of the files of npm's package ``pyodide``."""

NUMPY = "numpy-2.2.5-cp313-cp313-pyemscripten_2025_0_wasm32.whl"
NUMPY_SHA256 = "800c98edc0c864dfa49f07005680c699b4b42b84eae1f8cb19d35b3634e7f05c"
"""The wheel that this Pyodide's lock file names."""

_CDN = "https://cdn.jsdelivr.net"
_SITE = "/lib/python3.13/site-packages"
_LEFT_OUT = ("cli", "bench", "sklearn", "export", "play/static")  # of portanet: nothing on the page needs these
_POLICY = (
    "default-src 'none'; script-src 'self' blob: 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self' blob: data:{}; worker-src 'self'; base-uri 'none'; form-action 'none'"
)


def write(folder: Path, pyodide: Path | None = None) -> list[str]:
    """Write the page to a new folder and return what to say about it, as lines.

    Parameters
    ----------
    folder : Path
        It must not exist, or be empty.
    pyodide : Path, optional
        A folder with Pyodide's files and NumPy's wheel for it, which are copied beside the page; by default the page
        loads them from a CDN. In both cases the page uses a file only if its SHA-256 is the one that is written down
        here.

    Raises
    ------
    ConfigError
        If the folder holds something, or a file of Pyodide is missing or another one.
    DataError
        If it cannot be written. Nothing is then left half-written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        message = f"--static {folder}: expected a new or empty folder; name another one"
        raise ConfigError(message)
    files = page_files()
    own = _source()
    files["portanet.zip"] = own
    packages, beside = [NUMPY, "portanet.zip"], {}
    places = {name: (f"{_CDN}/npm/pyodide@{PYODIDE}/{name}", sha256) for name, sha256 in CORE.items()}
    places[NUMPY] = (f"{_CDN}/pyodide/v{PYODIDE}/full/{NUMPY}", NUMPY_SHA256)
    if pyodide is not None:
        beside = _checked(pyodide)
        packages[0] = next(name for name in beside if name.endswith(".whl"))
        places = {name: (f"pyodide/{name}", _sha256(data)) for name, data in beside.items()}
    places["portanet.zip"] = ("portanet.zip", _sha256(own))
    runtime: dict[str, Any] = {
        **{"version": PYODIDE, "site": _SITE, "packages": packages},
        "files": {name: {"url": url, "sha256": sha256} for name, (url, sha256) in places.items()},
    }
    files["runtime.json"] = json.dumps(runtime, indent=1).encode()
    files["index.html"] = _index(files["index.html"].decode(), cdn=pyodide is None)
    _put(folder, {**files, **{f"pyodide/{name}": data for name, data in beside.items()}})
    size = sum(map(len, files.values())) + sum(map(len, beside.values()))
    where = "beside the page" if pyodide is not None else f"from {_CDN}, checked by SHA-256"
    return [
        f"{folder}: {size / 1e6:.2f} MB; Pyodide {PYODIDE} is loaded {where}",
        f"Try it: python -m http.server --bind 127.0.0.1 --directory {folder}",
    ]


def _index(text: str, *, cdn: bool) -> bytes:
    policy = _POLICY.format(f" {_CDN}" if cdn else "")
    text = text.replace('name="portanet-engine" content="http"', 'name="portanet-engine" content="worker"')
    head = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    return text.replace('<meta charset="utf-8">', f'<meta charset="utf-8">\n{head}', 1).encode()


def _checked(pyodide: Path) -> dict[str, bytes]:
    """Return Pyodide's files and a wheel of NumPy; the wheel may be another build than the lock file's."""
    found, wrong = {}, []
    for name, sha256 in CORE.items():
        file = pyodide / name
        if not file.is_file():
            wrong.append(f"{name} is missing")
            continue
        found[name] = file.read_bytes()
        if _sha256(found[name]) != sha256:
            wrong.append(f"{name} is not that of Pyodide {PYODIDE}")
    wheels = sorted(pyodide.glob("numpy-*-cp313-cp313-*_wasm32.whl"))
    if len(wheels) != 1:
        wrong.append(f"expected one wheel of NumPy for it, such as {NUMPY}, found {len(wheels)}")
    if wrong:
        message = f"--pyodide {pyodide}: {'; '.join(wrong)}; take the files of npm's pyodide@{PYODIDE}"
        raise ConfigError(message)
    found[wheels[0].name] = wheels[0].read_bytes()
    return found


def _source() -> bytes:
    """Return the library's source, and that of array-api-compat, as a zip file; the same bytes each time."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        for name, data in sorted(_modules()):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            file.writestr(entry, data)
    return stream.getvalue()


def _modules() -> Iterator[tuple[str, bytes]]:
    for package in ("portanet", "portanet.backends", "array_api_compat"):
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            message = f"--static: the source of {package} was not found; install portanet as files, not as a zip"
            raise DataError(message)
        root = Path(spec.origin).parent
        for path in root.rglob("*"):
            name = path.relative_to(root).as_posix()
            if package == "portanet" and re.match(f"({'|'.join((*_LEFT_OUT, 'backends'))})/", name):
                continue
            if path.suffix in (".py", ".npz"):
                yield f"{package.replace('.', '/')}/{name}", path.read_bytes()


def _put(folder: Path, files: dict[str, bytes]) -> None:
    """Write the files to a folder beside, then rename it."""
    beside = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        beside.chmod(0o755)
        for name, data in files.items():
            place = beside / name
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(data)
        if folder.exists():
            folder.rmdir()
        beside.rename(folder)
    except OSError as error:
        if beside is not None:
            shutil.rmtree(beside, ignore_errors=True)
        message = f"--static {folder}: cannot be written ({error.strerror}); name a folder elsewhere"
        raise DataError(message) from None


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
