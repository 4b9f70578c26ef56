"""Pictures as people have them: of any size, mode and orientation, broken ones among them, in folders of any depth."""

from __future__ import annotations

import logging
import zipfile

import numpy as np
import pytest

from portanet.data import Pictures
from portanet.data.pictures.decode import decoded, shape_of
from portanet.data.pictures.files import on_disk
from portanet.data.pictures.form import form_for, resembles_channels_first, size_of
from portanet.errors import ConfigError
from tests.data.make import load, refused

Image = pytest.importorskip("PIL.Image", reason="images are read by Pillow")
GREY, COLOUR = Pictures(colours="grey"), Pictures(colours="colour")


@pytest.fixture
def put(tmp_path):
    """Write a picture and return it: an array of bytes or an image, under a name below the test's folder."""

    def write(name, content, **options):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image = content if hasattr(content, "save") else Image.fromarray(np.asarray(content, dtype=np.uint8))
        image.save(path, **options)
        return on_disk(path)

    return write


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif"])
@pytest.mark.parametrize(("tag", "turns"), [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_a_picture_is_turned_as_exif_says(put, suffix, tag, turns):
    pixels = np.zeros((16, 48), dtype=np.uint8)
    pixels[:8, :8] = 255  # the corner, where the picture is not turned
    exif = Image.Exif()
    exif[0x0112] = tag
    picture = put(f"a.{suffix}", pixels, exif=exif)
    got = decoded(picture, GREY)
    expected = np.rot90(pixels, turns)
    assert got.shape == expected.shape == shape_of(picture, GREY)
    assert abs(got.astype(int) - expected).mean() < 3  # JPEG and WebP lose a little
    assert decoded(picture, Pictures((20, 20), colours="grey")).shape == (20, 20)


def test_sixteen_bits_become_eight(put):
    values = np.array([[0, 257, 128 * 257, 65535]], dtype=np.uint16)
    for name in ("a.png", "a.tif", "a.pgm"):
        picture = put(name, Image.fromarray(values))
        assert decoded(picture, GREY).tolist() == [[0, 1, 128, 255]]
        assert decoded(picture, COLOUR)[..., 2].tolist() == [[0, 1, 128, 255]]


def test_cmyk_is_converted(put):
    picture = put("a.jpg", Image.new("CMYK", (8, 8), (0, 255, 255, 0)))  # red
    red, green, blue = decoded(picture, COLOUR).reshape(-1, 3).mean(axis=0)
    assert red > 240 > 20 > max(green, blue)


def test_what_is_transparent_is_white(put):
    pixels = np.zeros((1, 2, 4), dtype=np.uint8)
    pixels[0, 0] = (10, 20, 30, 255)
    pixels[0, 1] = (10, 20, 30, 0)
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 0, 0, 0])
    palette.putpixel((1, 0), 1)
    for picture in (put("a.png", pixels), put("p.png", palette, transparency=1)):
        assert decoded(picture, COLOUR).tolist() == [[[10, 20, 30], [255, 255, 255]]]
        assert decoded(picture, GREY)[0, 1] == 255
    grey = put("la.png", Image.fromarray(pixels).convert("LA"))
    assert decoded(grey, GREY)[0, 1] == 255
    assert decoded(put("a.png", pixels), Pictures(colours="alpha")).tolist() == pixels.tolist()


def test_of_an_animation_the_first_frame(put):
    frames = [Image.new("L", (6, 4), value) for value in (200, 10, 20)]
    for suffix in ("gif", "webp", "png"):
        picture = put(f"a.{suffix}", frames[0], save_all=True, append_images=frames[1:])
        assert decoded(picture, GREY).mean() == pytest.approx(200, abs=2)


def test_pad_shows_all_and_crop_fills(put):
    picture = put("wide.png", np.full((10, 20), 255))
    padded = decoded(picture, Pictures((20, 20), "pad", "grey"))
    assert (padded[:5].max(), padded[5:15].min(), padded[15:].max()) == (0, 255, 0)
    assert decoded(picture, Pictures((20, 20), "crop", "grey")).min() == 255
    halves = put("halves.png", np.repeat([[0, 255]], 4, axis=0).repeat(8, axis=1))
    cropped = decoded(halves, Pictures((4, 4), "crop", "grey"))
    assert (cropped[:, 0].max(), cropped[:, -1].min()) == (0, 255)  # its middle
    same = noise(12, 9)
    assert np.array_equal(decoded(put("same.png", same), Pictures((9, 12))), same)


def test_a_large_jpeg_is_what_it_is_when_it_is_decoded_whole(put):
    ramp = np.linspace(0, 255, 1200)[None].repeat(900, axis=0)
    picture = put("ramp.jpg", ramp, quality=95)
    small = decoded(picture, Pictures((24, 18), colours="grey")).astype(float)
    assert small.shape == (18, 24)
    assert abs(small - ramp.reshape(900, 24, 50).mean(axis=2)[:18]).max() < 4


def test_a_mixed_folder_needs_a_form_and_has_one(put, tmp_path):
    put("cat/a.png", noise(8, 8))
    put("cat/b.jpg", noise(8, 6, 3))
    put("dog/c.webp", noise(5, 8, 3))
    put("dog/d.png", noise(8, 8, 4))
    refused(tmp_path, "2 of 4 are not of 8×8 pixels", "--image-size 8 and --grey or --colour")
    form = Pictures((8, 6), "pad", "grey")
    data, lazy = (load(tmp_path, pictures=form, stream=stream) for stream in (False, True))
    assert data.x.shape == (4, 6, 8)
    assert data.pictures == form
    assert np.array_equal(data.x, lazy.x.read(0, 4))
    assert np.array_equal(lazy.x.take(np.array([1, 3])).read(0, 2), data.x[[1, 3]])
    assert load(tmp_path, pictures=Pictures((4, 4), colours="colour")).x.shape == (4, 4, 4, 3)


def test_broken_files_are_named_and_counted(put, tmp_path, caplog):
    first = noise(8, 8)
    put("cat/b.png", first)
    put("dog/b.png", noise(8, 8))
    for name in ("cat/a.png", "dog/z.jpg"):
        (tmp_path / name).write_bytes(b"no picture")
    whole = (tmp_path / "cat" / "b.png").read_bytes()
    (tmp_path / "cat" / "half.png").write_bytes(whole[: len(whole) // 2])
    refused(tmp_path, str(tmp_path / "cat" / "a.png"), "or skip such files by --skip-broken")
    for stream in (False, True):
        caplog.clear()
        with caplog.at_level(logging.INFO, "portanet"):
            data = load(tmp_path, pictures=Pictures(skip_broken=True), stream=stream)
        assert (len(data.x), data.y.tolist()) == (2, [0, 1])
        assert np.array_equal(data.x.read(0, 1)[0] if stream else data.x[0], first)
        message = [record.getMessage() for record in caplog.records if "skipped" in record.getMessage()]
        assert [line for line in message if "half.png" in line]
        assert message[-1] == f"{tmp_path}: skipped 3 of 5 pictures, which cannot be decoded"
    (tmp_path / "dog" / "b.png").write_bytes(b"")
    refused(tmp_path, "no picture of the class 'dog' can be decoded", pictures=Pictures(skip_broken=True))


def test_folders_of_any_depth_and_of_parts(put, tmp_path, caplog):
    for part in ("Train", "valid", "test"):
        put(f"set/{part}/cat/a.png", noise(4, 4))
        put(f"set/{part}/dog/2019/may/b.png", noise(4, 4))
    put("set/Train/dog/c.png", noise(4, 4))
    data = load(tmp_path)
    assert data.classes == ("cat", "dog")
    assert [len(x) for x in (data.x, data.x_val, data.x_test)] == [3, 2, 2]
    assert (data.y.tolist(), data.y_val.tolist(), data.y_test.tolist()) == ([0, 1, 1], [0, 1], [0, 1])
    turned = data.with_classes(["dog", "cat"])
    assert (turned.y.tolist(), turned.y_val.tolist()) == ([1, 0, 0], [1, 0])
    put("set/Train/cover.png", noise(4, 4))
    load(tmp_path)
    assert "left out 1 of 8 pictures that lie outside of the folders of the classes" in caplog.text
    put("set/valid/bird/a.png", noise(4, 4))
    refused(tmp_path, "the label 'bird' does not occur in the training part")


def test_a_class_may_be_called_train(put, tmp_path):
    for name in ("train/a.png", "bus/a.png"):
        put(name, noise(4, 4))
    assert load(tmp_path).classes == ("bus", "train")


def test_a_flat_folder_says_what_to_do(put, tmp_path):
    put("a.png", noise(4, 4))
    refused(tmp_path, "sort images into a folder for each class", "portanet predict")


def test_a_folder_that_holds_itself(put, tmp_path):
    for name in ("cat/a.png", "dog/a.png"):
        put(name, noise(4, 4))
    (tmp_path / "dog" / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert len(load(tmp_path).x) == 2


def test_a_zip_is_read_as_its_folder(put, tmp_path):
    names = ["set/train/cat/a.png", "set/train/dog/b.png", "set/test/dog/c.jpg"]
    for i, name in enumerate(names):
        put(name, noise(4, 4, seed=i))
    with zipfile.ZipFile(tmp_path / "set.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.write(tmp_path / name, name)
        archive.writestr("__MACOSX/set/train/cat/._a.png", b"of a Mac")
    folder, packed = load(tmp_path / "set"), load(tmp_path / "set.zip")
    for part in ("x", "y", "x_test", "y_test"):
        assert np.array_equal(getattr(folder, part), getattr(packed, part))
    with pytest.raises(ConfigError, match="a zip is read whole"):
        load(tmp_path / "set.zip", stream=True)


def test_options_of_pictures_are_refused_elsewhere():
    with pytest.raises(ConfigError, match="are for folders and zips of images"):
        load("moons", pictures=GREY)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 28}, "size: expected a width and a height"),
        ({"size": (0, 8)}, "size: expected"),
        ({"size": (8, True)}, "size: expected"),
        ({"fit": "stretch"}, "fit: expected pad or crop, got 'stretch'"),
        ({"colours": "gray"}, "colours: expected grey, colour, alpha or None"),
    ],
)
def test_a_form_that_is_none(options, message):
    with pytest.raises(ConfigError, match=message):
        Pictures(**options)


def test_a_form_is_kept_as_plain_values():
    for form in (Pictures(), Pictures((3, 4), "crop", "grey")):
        assert Pictures.from_dict(form.as_dict()) == form
    assert "skip_broken" not in Pictures(skip_broken=True).as_dict()
    assert Pictures((3, 4), "crop", "grey").in_words() == "3×4 pixels, cropped to fit, in grey"
    assert Pictures().in_words() == "as they are"


def test_sizes_in_words():
    assert (size_of("28"), size_of("32x24")) == ((28, 28), (32, 24))
    for wrong in ("", "0", "28x", "28x28x3", "-3", "9999"):
        with pytest.raises(ValueError, match=r"^$"):
            size_of(wrong)


@pytest.mark.parametrize(
    ("shape", "size", "colours"),
    [
        ((28, 20), (20, 28), "grey"),
        ((28, 20, 1), (20, 28), "grey"),
        ((28, 20, 3), (20, 28), "colour"),
        ((28, 20, 4), (20, 28), "alpha"),
        ((784,), (28, 28), "grey"),
    ],
)
def test_the_form_that_a_network_takes(shape, size, colours):
    assert form_for(shape) == Pictures(size, "pad", colours)
    assert form_for(shape, Pictures(None, "crop")) == Pictures(size, "crop", colours)


def test_networks_that_take_no_pictures():
    assert [form_for(shape) for shape in ((7,), (4, 4, 2), (2, 4, 4, 3))] == [None] * 3


@pytest.mark.parametrize(
    ("shape", "looks"),
    [((3, 224, 224), True), ((1, 28, 28), True), ((3, 32, 48), True), ((32, 32, 3), False), ((1, 128, 9), False)],
)
def test_channels_that_seem_to_be_first(shape, looks):
    assert resembles_channels_first(shape) == looks
