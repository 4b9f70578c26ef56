"""``portanet examples``: List what to try, from the first training to your own layers."""

from __future__ import annotations

import click

from portanet.cli.output import echo, print_json, print_table
from portanet.cli.parameters import json_option

EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "A first network": (
        ("portanet train digits", "handwritten digits, 8×8; a few seconds"),
        ("portanet evaluate runs/digits digits", "loss and accuracy on its test part"),
        ("portanet predict runs/digits digits -o predictions.csv", "a label for each sample"),
        ("portanet plot runs/digits --data digits", "curves, confusion matrix, worst mistakes"),
        ("portanet info runs/digits", "its layers, classes and results"),
    ),
    "Look into it": (
        ("portanet show runs/digits --sample 3", "one training step in numbers, layer by layer"),
        ("portanet show runs/digits --sample 3 -o step.html", "the same as a page"),
        ("portanet gradcheck runs/digits", "its gradients against central differences"),
        ("portanet reproduce runs/digits", "run it again: is it the same, bit for bit?"),
    ),
    "Other data and networks": (
        ("portanet train moons --layers 25,50,25 --epochs 100 --plots", "two inputs: draws the decision boundary"),
        ("portanet train spirals --activation tanh --epochs 100 --plots", "three classes that wind around each other"),
        ("portanet train digits --model cnn --epochs 5 --out runs/cnn", "two convolutions before the dense layers"),
        ("portanet cv digits -k 5 --epochs 5", "five networks at once, for the spread of the accuracy"),
    ),
    "Take it elsewhere": (
        ("portanet export runs/digits --to npz", "plain arrays; also onnx, torch, numpy"),
        ("portanet doctor", "which backends run here, and how to install the others"),
    ),
}
"""Commands by topic, each with what it shows; they build on each other from top to bottom."""

LARGER = (
    ("portanet play", "a page in the browser: watch a network learn, draw digits; Ctrl-C ends it"),
    ("portanet train mnist --model cnn --epochs 1", "28×28 digits; downloads 11 MB if need be"),
    ("portanet train table.csv --target COLUMN", "your own table: text, dates and gaps are understood"),
    ("portanet gradcheck homework.py:MyLayer --shape 4", "a layer or loss that you wrote"),
)
"""What needs a download, files of the user's, or a browser."""


@click.command("examples")
@json_option
def examples(*, json_wanted: bool) -> None:
    """List what to try, from the first training to your own layers.

    The commands build on each other: run them from top to bottom in an empty folder.
    """
    topics = {**EXAMPLES, "With your own files, a download, or a browser": LARGER}
    if json_wanted:
        print_json({topic: [{"command": c, "about": about} for c, about in rows] for topic, rows in topics.items()})
        return
    for i, (topic, rows) in enumerate(topics.items()):
        if i:
            echo()
        print_table([topic, ""], rows)
