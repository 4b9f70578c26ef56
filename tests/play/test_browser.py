"""The page in a real browser, with both engines. Not run by default: ``pytest -m browser``, see conftest.py."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest

import portanet as pn
from portanet.cli.main import run
from portanet.play import shipped
from portanet.play.session import Session
from tests.play.served import until

pytestmark = pytest.mark.browser

SHOTS = os.environ.get("PORTANET_SHOTS")
"""A folder for screenshots, if they are wanted."""


def ask(page, method, **arguments):
    return page.evaluate("([method, args]) => window.portanet.engine.call(method, args)", [method, arguments])


def within(page, condition):
    """Wait until the condition holds; the page's events are handled meanwhile."""
    return until(lambda: page.wait_for_timeout(50) or condition(), 60)


def draw_seven(page):
    box = page.get_by_test_id("draw").bounding_box()
    x, y, mouse = box["x"], box["y"], page.mouse
    mouse.move(x + 80, y + 70)
    mouse.down()
    mouse.move(x + 190, y + 70, steps=6)
    mouse.move(x + 130, y + 220, steps=8)
    mouse.up()


def label(page):
    return page.get_by_test_id("probabilities").get_attribute("data-label")


def shot(page, name):
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / f"{name}-{page.viewport_size['width']}.png"), full_page=True)


def test_the_loss_falls(visit, address):
    page = visit(address)
    first = float(page.get_by_test_id("loss").inner_text())
    page.get_by_test_id("play").click()
    assert within(page, lambda: int(page.get_by_test_id("loss").get_attribute("data-steps")) >= 200)
    page.get_by_test_id("pause").click()
    assert float(page.get_by_test_id("loss").inner_text()) < 0.6 * first
    assert int(page.get_by_test_id("epoch").inner_text()) >= 25
    page.get_by_test_id("play").wait_for()
    pixels = page.get_by_test_id("boundary").evaluate(
        "(own) => [...own.getContext('2d').getImageData(0, 0, own.width, own.height).data]"
    )
    assert len({tuple(pixels[i : i + 3]) for i in range(0, len(pixels), 400)}) > 20  # not one colour


def test_gradients_are_those_of_numpy(visit, address):
    page = visit(address)
    for _ in range(3):
        page.get_by_test_id("step").click()
    page.wait_for_selector('[data-testid="loss"][data-steps="3"]', state="attached")
    own = Session("points")
    own.step(3)
    expected = own.gradients()
    found = ask(page, "gradients", kind="points")
    assert found["loss"] == pytest.approx(expected["loss"], rel=1e-5)
    for got, wanted in zip(found["layers"], expected["layers"], strict=True):
        assert got["flow"] == pytest.approx(wanted["flow"], rel=1e-5)
        for name, values in wanted["gradients"].items():
            np.testing.assert_allclose(got["gradients"][name], values, rtol=1e-5, atol=1e-10)
        if wanted["norm"] is not None:
            assert got["difference"] == pytest.approx(got["norm"], rel=1e-5)
    shown = page.get_by_test_id("gradients").locator("tbody tr")
    assert shown.count() == len(expected["layers"])
    assert within(page, lambda: shown.last.get_attribute("data-norm") == str(found["layers"][0]["norm"]))
    assert float(shown.last.get_attribute("data-norm")) == pytest.approx(expected["layers"][0]["norm"], rel=1e-5)


def test_a_drawn_seven_is_a_seven(visit, address):
    page = visit(address)
    page.click("#tab-digit")
    draw_seven(page)
    page.wait_for_selector('[data-testid="probabilities"][data-label="7"]')
    page.click("#clear")
    assert label(page) == ""
    page.get_by_test_id("draw").focus()  # a line down by the keyboard
    page.keyboard.press("Space")
    for _ in range(18):
        page.keyboard.press("ArrowDown")
    page.wait_for_selector('[data-testid="probabilities"][data-label="1"]')


def test_fifty_digits_as_predict_sees_them(visit, address, tmp_path):
    """Test digits, moved and blurred: the page's answers are those of `portanet predict` on the same arrays."""
    data = pn.data.load("mnist") if "PORTANET_DATA" in os.environ else None
    if data is None:
        pytest.skip("PORTANET_DATA names no folder with MNIST")
    rng = np.random.default_rng(0)
    moved = [np.roll(x, rng.integers(-2, 3, size=2), axis=(0, 1)) for x in data.x_test[:50].astype(np.float64) / 255]
    images = np.clip(np.array(moved) + 0.08 * rng.normal(size=(50, 28, 28)), 0, 1)
    page = visit(address)
    ask(page, "open", kind="digit")
    found = [ask(page, "predict", kind="digit", image=image.tolist(), centre=False)["label"] for image in images]
    trainer, _ = shipped.load()
    trainer.save(tmp_path / "digits.safetensors")
    np.savez(tmp_path / "jittered.npz", X=(images * 255).astype(np.float32), y=data.y_test[:50])
    words = ["predict", tmp_path / "digits.safetensors", tmp_path / "jittered.npz", "-o", tmp_path / "out.csv"]
    assert run([str(word) for word in words]) == 0
    with (tmp_path / "out.csv").open() as file:
        predicted = [int(list(row.values())[-1]) for row in csv.DictReader(file)]
    assert found == predicted
    accuracy = np.mean(np.array(found) == data.y_test[:50])
    print(f"accuracy on 50 jittered digits: {accuracy:.0%}")
    assert accuracy > 0.8


def test_a_step_in_numbers(visit, address):
    page = visit(address)
    page.click("#tab-trace")
    page.wait_for_selector("#block table")
    own = Session("points").trace(0)
    assert page.locator("#stages button").count() == sum(map(len, own["parts"].values()))
    assert "y = x W + b" in page.inner_text("#block")
    page.click("#next")
    assert "tanh" in page.inner_text("#block")


def test_the_source_of_a_layer(visit, address):
    page = visit(address)
    page.get_by_test_id("gradients").locator("button").first.click()
    assert within(page, lambda: "def backward" in page.inner_text("#source"))


def test_vanishing_gradients_are_visible(visit, address):
    norms = {}
    page = visit(address)
    for name in ("vanishing", "not_vanishing"):
        page.select_option("#preset", name)
        rows = page.get_by_test_id("gradients").locator("tbody tr")
        word = "Sigmoid" if name == "vanishing" else "ReLU"
        assert within(page, lambda rows=rows, word=word: word in rows.nth(1).inner_text())
        norms[name] = float(rows.last.get_attribute("data-norm"))
    assert norms["vanishing"] < 1e-4 < 1e-3 < norms["not_vanishing"]


def test_the_link_holds_the_settings(visit, address):
    page = visit(f"{address}#language=zh&layers=3,2&activation=relu&lr=0.03&data=circles&theme=dark")
    assert page.locator("#layers b").all_inner_texts() == ["3", "2"]
    assert page.input_value("#set-lr") == "0.03"
    assert page.get_by_test_id("play").inner_text() == "训练"
    assert page.get_attribute("html", "data-theme") == "dark"
    page.click("#language")
    assert page.get_by_test_id("play").inner_text() == "Play"
    page.get_by_label("One unit more in layer 1").click()
    page.wait_for_selector("#layers b:text-is('4')")
    assert "layers=4%2C2" in page.url
    assert "activation=relu" in page.url


def test_points_of_your_own(visit, address):
    page = visit(address)
    page.select_option("#set-data", "custom")
    box = page.get_by_test_id("boundary").bounding_box()
    for i, (x, y) in enumerate([(0.2, 0.2), (0.3, 0.3), (0.7, 0.7), (0.8, 0.8)]):
        page.wait_for_selector("#brush button")
        page.locator("#brush button").nth(i // 2).click()
        page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
        page.wait_for_timeout(300)
    assert page.evaluate("window.portanet.points.settings.points.length") == 4
    page.get_by_test_id("step").click()
    page.wait_for_selector('[data-testid="loss"][data-steps="1"]', state="attached")


@pytest.mark.parametrize("width", [1100, 390])
def test_every_screen_fits(visit, address, width):
    page = visit(address, width)
    page.get_by_test_id("play").click()
    page.wait_for_timeout(3000)
    page.get_by_test_id("pause").click()
    page.wait_for_timeout(500)
    for name in ("points", "digit", "trace"):
        page.click(f"#tab-{name}")
        if name == "digit":
            draw_seven(page)
        page.wait_for_timeout(700)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        unlabelled = page.evaluate(
            """[...document.querySelectorAll('button, input, select, canvas')]
              .filter((own) => own.offsetParent !== null && !own.textContent.trim())
              .filter((own) => !own.getAttribute('aria-label') && !own.labels?.length && !own.closest('button'))
              .map((own) => own.outerHTML)"""
        )
        assert unlabelled == [], name
        shot(page, name)


def test_touch_draws_and_plays(visit, address):
    page = visit(address, 390, has_touch=True, is_mobile=True)
    page.get_by_test_id("step").tap()
    page.wait_for_selector('[data-testid="loss"][data-steps="1"]', state="attached")
    page.locator("#tab-digit").tap()
    page.get_by_test_id("draw").scroll_into_view_if_needed()
    box = page.get_by_test_id("draw").bounding_box()
    client = page.context.new_cdp_session(page)
    points = [(140, 40 + 10 * i) for i in range(19)]
    for i, (x, y) in enumerate(points):
        at = [{"x": box["x"] + x, "y": box["y"] + y}]
        client.send("Input.dispatchTouchEvent", {"type": "touchMove" if i else "touchStart", "touchPoints": at})
    client.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.wait_for_selector('[data-testid="probabilities"][data-label="1"]')
