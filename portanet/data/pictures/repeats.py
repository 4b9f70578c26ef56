"""Pictures that occur twice: in two parts of a data set, or in two classes."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping

from portanet.data.dataset import HostArray
from portanet.data.readers.labels import Part

logger = logging.getLogger("portanet")


def warn_of_repeats(name: str, parts: Mapping[str, Part]) -> None:
    """Log how many pictures of other parts are also training pictures, and how many are in two classes.

    Results on held-out pictures that a network was trained on are too good, and two labels for one picture cannot both
    be learned. Pictures are the same if all pixels are, in the form that they were brought to.

    Parameters
    ----------
    name : str
        Of the data, for the messages.
    parts : mapping of str to Part
        By the name of a part its pixels, labels, and places; ``"train"`` is among them.
    """
    found = {part: [_digest(row) for row in own.x] for part, own in parts.items()}
    first: dict[bytes, tuple[str, int]] = {}
    twice, example = 0, ""
    for part, digests in found.items():
        for i, digest in enumerate(digests):
            whole, k = first.setdefault(digest, (part, i))
            if parts[whole].labels[k] != parts[part].labels[i]:
                twice, example = twice + 1, example or f"{parts[whole].place(k)} and {parts[part].place(i)}"
    if twice:
        logger.warning("%s: %d pictures occur under two classes, such as %s; remove one of each", name, twice, example)
    trained = {digest: i for i, digest in enumerate(found["train"])}
    for part in [name for name in found if name != "train"]:
        same = [i for i, digest in enumerate(found[part]) if digest in trained]
        if same:
            own, other = parts[part].place(same[0]), parts["train"].place(trained[found[part][same[0]]])
            words = "%s: %d of %d pictures of the part %s are training pictures too, such as %s and %s; results on it "
            logger.warning(words + "are too good", name, len(same), len(found[part]), part, own, other)


def _digest(row: HostArray) -> bytes:
    return hashlib.blake2b(row.tobytes(), digest_size=16).digest()
