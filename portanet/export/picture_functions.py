"""From a picture file to a sample in Pillow and NumPy alone: copied into the scripts of networks for pictures."""

from __future__ import annotations

import numpy as np


def picture(path: str, size: tuple[int, int], mode: str, *, crop: bool) -> np.ndarray:
    """Return a picture file as an array, in the size and colours that the network was trained on; needs Pillow."""
    from PIL import Image, ImageOps

    with Image.open(path) as file:
        file.draft(None, (2 * max(size), 2 * max(size)))  # a large JPEG is decoded at a half or a quarter of its size
        file.load()
        image = ImageOps.exif_transpose(file)
        if image.mode.startswith("I"):  # 16 bits
            values = np.asarray(image).astype(np.int64)
            image = Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))
        if mode != "RGBA" and image.has_transparency_data:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        image = image.convert(mode)
        return np.asarray(ImageOps.fit(image, size) if crop else ImageOps.pad(image, size, color=0))
