"""What the tests of pictures share: rows of a history, and what can be read of a figure."""

from __future__ import annotations

import json
import struct

import portanet as pn

ROWS = [
    {"epoch": e, "loss": loss, "accuracy": a, "val_loss": v, "val_accuracy": a - 0.05, "lr": 0.1, "seconds": 0.2}
    for e, loss, a, v in [(1, 0.9, 0.5, 0.95), (2, 0.5, 0.7, 0.6), (3, 0.3, 0.8, 0.7), (4, 0.2, 0.9, 0.8)]
]


def moons_net(points, outputs):
    loss = "binary_cross_entropy" if outputs == 1 else "softmax_cross_entropy"
    trainer = pn.Trainer(
        [pn.Dense(16), pn.Tanh(), pn.Dense(outputs)], loss, pn.Adam(lr=0.03), backend="numpy", classes=("up", "down")
    )
    trainer.fit(points.x, points.y, epochs=8, batch_size=20, verbose=False)
    return trainer


def run_folder(path, history):
    path.mkdir()
    (path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in history))
    return path


def legend_of(place):
    legend = place.get_legend() if hasattr(place, "get_legend") else place.legends[0]
    return [text.get_text() for text in legend.get_texts()]


def texts_of(axes):
    """Return the texts that are seen of axes, but for those within."""
    found = [axes.title, axes._left_title]
    if axes.axison:
        found += [axes.xaxis.label, axes.yaxis.label]
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            found += [
                label
                for tick in axis.get_major_ticks()
                if low <= tick.get_loc() <= high
                for label in (tick.label1, tick.label2)
                if label.get_visible()
            ]
    return found + (axes.get_legend().get_texts() if axes.get_legend() else [])


def boxes(figure):
    """Draw a figure and return the place of each text on it; assert that none is cut or too small to be read."""
    figure.canvas.draw()
    texts = [t for axes in figure.axes for t in texts_of(axes)] + figure.texts
    texts += [t for legend in figure.legends for t in legend.get_texts()]
    texts = [t for t in texts if t.get_text().strip()]
    assert min(t.get_fontsize() for t in texts) >= 7
    found = [(t.get_text(), t.get_window_extent()) for t in texts]
    width, height = figure.bbox.width, figure.bbox.height
    assert not [t for t, b in found if b.x0 < 0 or b.y0 < 0 or b.x1 > width or b.y1 > height]
    return found


def png_size(path):
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", content[16:24])
