"""A folder of pictures as people have it, from the command line: mixed files, a training, and then new pictures.

usage: python examples/picture_folder.py [--samples 12000] [--backend auto] [--smoke] [--out plots/picture_folder]

Two folders are made. MNIST's digits (found by PORTANET_DATA, or downloaded) as PNG and JPEG, 28×28 and 37×45 pixels, in
grey and in colour. And parts of scikit-learn's two photographs, a Chinese temple and a flower, as JPEG and WebP of any
size, some of them turned with a note in EXIF, a broken file among them: the left side of each photograph to train on,
the right side as new pictures. Each command is printed as it is run; all it prints is what a user sees.
"""

from __future__ import annotations

import argparse
import csv
import os
import shlex
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import portanet as pn
from portanet.cli.main import run
from portanet.errors import need

PARTS = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
NEEDS_DATA = tuple(f"{part}-ubyte.gz" for part in PARTS)


def portanet(line: str) -> None:
    """Print and run a command."""
    print(f"\n$ portanet {line}", flush=True)
    run(shlex.split(line))


def write_digits(x: np.ndarray, y: np.ndarray, folder: Path, *, by_class: bool) -> dict[str, str]:
    """Write digits as files of two formats, sizes and modes; return the class of each by its path."""
    image, found = need("PIL.Image", "data", "pictures"), {}
    for i, (pixels, label) in enumerate(zip(x, y.tolist(), strict=True)):
        picture = image.fromarray(pixels)
        picture = picture.resize((37, 45)) if i % 4 == 1 else picture
        picture = picture.convert("RGB") if i % 7 == 3 else picture
        path = folder / (str(label) if by_class else "") / f"{i:05}.{'jpg' if i % 3 else 'png'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)
        found[str(path)] = str(label)
    return found


def write_photos(folder: Path, count: int, rng: np.random.Generator, *, by_class: bool) -> dict[str, str]:
    """Write parts of two photographs, of the left side by class, or of the right side; return the class of each."""
    image, datasets = need("PIL.Image", "data", "pictures"), need("sklearn.datasets", "sklearn", "two photographs")
    found = {}
    for name in ("china", "flower"):
        whole = image.fromarray(datasets.load_sample_image(f"{name}.jpg"))
        middle = whole.width // 2
        for i in range(count):
            width, height = rng.integers(40, 120, 2).tolist()
            left = int(rng.integers(0, middle - width)) + (0 if by_class else middle)
            top = int(rng.integers(0, whole.height - height))
            part, exif = whole.crop((left, top, left + width, top + height)), image.Exif()
            if i % 5 == 0:  # as a camera that is held on its side
                part, exif[0x0112] = part.transpose(image.Transpose.ROTATE_90), 6
            path = folder / (name if by_class else "") / f"{name[0]}{i:03}.{'jpg' if i % 2 else 'webp'}"
            path.parent.mkdir(parents=True, exist_ok=True)
            part.save(path, exif=exif)
            found[str(path)] = name
    (folder / ("flower/z-broken.jpg" if by_class else "z-broken.jpg")).write_bytes(b"no picture at all")
    return found


def session(name: str, form: str, training: str, truth: dict[str, str], out: Path) -> None:
    """Do what a user does with a folder of pictures, and with new ones."""
    skip = "--skip-broken" if "--skip-broken" in form else ""
    portanet(f"train {name} {training}")  # without a form: the error says what is in the folder, and what to add
    portanet(f"train {name} {form} {training}")
    portanet(f"info runs/{name}")
    portanet(f"evaluate runs/{name} {name} {skip}")
    portanet(f"predict runs/{name} new-{name} {skip} -o new-{name}.csv")
    with open(f"new-{name}.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    print(*(",".join(row.values()) for row in rows[:3]), "...", sep="\n")
    right = sum(truth[row["file"]] == row["label"] for row in rows)
    print(f"accuracy on new pictures: {right} of {len(rows)}, {right / len(rows):.2%}")
    for path in Path("runs", name, "plots").glob("*.png"):
        shutil.copy(path, out / f"{name}-{path.name}")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--samples", type=int, default=12000, help="digits to train on; a sixth as many are new")
    parser.add_argument("--smoke", action="store_true", help="a few seconds instead of a full training")
    parser.add_argument("--out", type=Path, default=Path("plots/picture_folder"))
    args = parser.parse_args(argv)
    out, here = args.out.resolve(), Path.cwd()
    out.mkdir(parents=True, exist_ok=True)
    n, photos, epochs = (600, 20, 1) if args.smoke else (args.samples, 200, 8)
    usual = f"--model cnn --backend {args.backend} --val-fraction .1 --plots"
    mnist, rng = pn.data.load("mnist"), np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            write_digits(mnist.x[:n], mnist.y[:n], Path("handwritten"), by_class=True)
            new = write_digits(mnist.x_test[: n // 6], mnist.y_test[: n // 6], Path("new-handwritten"), by_class=False)
            session("handwritten", "--image-size 28 --grey", f"{usual} --shift 1 --epochs {epochs}", new, out)
            write_photos(Path("photos"), photos, rng, by_class=True)
            new = write_photos(Path("new-photos"), photos // 2, rng, by_class=False)
            form = "--image-size 32 --fit crop --colour --skip-broken"
            session("photos", form, f"{usual} --flip --epochs {2 * epochs} --batch-size 32", new, out)
            portanet("info runs")
        finally:
            os.chdir(here)
    print("\npictures:", *sorted(map(str, out.glob("*.png"))))


if __name__ == "__main__":
    main()
