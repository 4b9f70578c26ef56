"""Data sets known by name: digits, MNIST and Fashion-MNIST, from an installed package, a folder or a download."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from portanet.data.dataset import Dataset
from portanet.data.readers.idx import read_idx, recognises_folder
from portanet.data.split import hold_out
from portanet.errors import DataError, need
from portanet.names import listed

logger = logging.getLogger("portanet")


@dataclass(frozen=True)
class Download:
    """A data set in IDX files: its mirrors, the SHA-256 of its files, and the names of its classes."""

    mirrors: tuple[str, ...]
    files: dict[str, str]
    classes: tuple[str, ...]


DOWNLOADS = {
    "mnist": Download(
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        {
            "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        },
        tuple("0123456789"),
    ),
    "fashion-mnist": Download(
        ("https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",),
        {
            "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        },
        ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
}


def digits(seed: int = 0) -> Dataset:
    """Return scikit-learn's 1,797 handwritten digits, a stratified fifth of them as the test part.

    Images are ``(n, 8, 8)`` of 0 to 16 in uint8.

    Notes
    -----
    Source: Alpaydin & Kaynak 1998, "Optical recognition of handwritten digits", UCI repository; its test part.
    """
    bunch = need("sklearn.datasets", "sklearn", "the data set 'digits'", exit_code=3).load_digits()
    x, y = bunch.images.astype(np.uint8), bunch.target.astype(np.int64)
    return hold_out(Dataset("digits", x, y, classes=tuple("0123456789"), scale=16.0), seed=seed)


def mnist_like(name: str) -> Dataset:
    """Return MNIST or Fashion-MNIST from ``PORTANET_DATA``, the cache, or a download that is checked and then cached.

    They are 60,000 and 10,000 images ``(n, 28, 28)`` in uint8, of ten classes.

    Raises
    ------
    DataError
        If the data is nowhere and cannot be downloaded, or what was found is damaged or of other classes.

    Notes
    -----
    Source: LeCun, Cortes & Burges, the MNIST database; Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747.
    """
    import platformdirs

    download = DOWNLOADS[name]
    usual = platformdirs.user_cache_dir("portanet", appauthor=False)
    cache = Path(os.environ.get("PORTANET_CACHE") or usual).expanduser() / name
    places = [cache]
    if os.environ.get("PORTANET_DATA"):
        root = Path(os.environ["PORTANET_DATA"]).expanduser()
        # Files that are there without a folder of their own are MNIST: Fashion-MNIST has the same names.
        places = [root / name, *([root] if name == "mnist" else []), cache]
    folder = next((place for place in places if place.is_dir() and recognises_folder(place)), None)
    if folder is None or (folder == cache and any(not (cache / file).exists() for file in download.files)):
        _download(name, download, cache, places)
        folder = cache
    dataset = read_idx(folder)
    if dataset.classes != tuple("0123456789"):
        message = f"{folder}: expected the labels 0 to 9 of {name}, got {listed(dataset.classes)}; "
        raise DataError(message + "is it another data set?")
    return replace(dataset, name=name, classes=download.classes)


def _download(name: str, download: Download, cache: Path, looked: list[Path]) -> None:
    """Download the files that the cache lacks, from the first mirror that has them; a wrong checksum is refused."""
    places = ", ".join(str(place) for place in looked)
    pooch = need("pooch", "data", f"downloading {name!r} (it is not in {places})", exit_code=3)
    logger.warning("%s: not found in %s; downloading it from %s", name, places, download.mirrors[0])
    pooch.get_logger().setLevel("ERROR")  # what it would say is said above and below
    for file, checksum in download.files.items():
        failures = []
        for mirror in download.mirrors:
            try:
                pooch.retrieve(mirror + file, known_hash=f"sha256:{checksum}", fname=file, path=cache)
                break
            except Exception as error:  # pooch lets through what the transport raises
                failures.append(f"{mirror}{file}: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
        else:
            message = (
                f"{name}: expected it in {places}, or at a mirror, but the download failed ({'; '.join(failures)}); "
                f"put its four files into {cache}, or into a folder {name} that PORTANET_DATA points to"
            )
            raise DataError(message)
