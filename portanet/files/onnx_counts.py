"""How many parts an ONNX file has, counted on its bytes before a parser makes an object of each.

Only what tells messages apart is known here: which field of a message holds messages, and of which kind (onnx.proto).
Source: the wire format of Protocol Buffers, https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

from portanet.errors import DataError

MOST = 1 << 18
"""Messages in a file: a network of 10,000 nodes has some 100,000. A parser takes 100 to 400 bytes for each."""

MOST_FIELDS = 1 << 20
"""Fields of these messages."""

_FIELDS: dict[str, dict[int, str]] = {
    "Model": {7: "Graph", 8: "Leaf", 14: "Leaf", 20: "Training", 25: "Function", 26: "Leaf"},
    "Training": {1: "Graph", 2: "Graph", 3: "Leaf", 4: "Leaf"},
    "Function": {7: "Node", 9: "Leaf", 11: "Attribute", 12: "Value", 14: "Leaf"},
    "Graph": {1: "Node", 5: "Tensor", 11: "Value", 12: "Value", 13: "Value", 14: "Quantized", 15: "Sparse", 16: "Leaf"},
    "Quantized": {2: "Leaf"},
    "Node": {1: "Text", 2: "Text", 5: "Attribute", 9: "Leaf", 10: "Sharded"},
    "Sharded": {2: "Sharding"},
    "Sharding": {2: "Leaf", 3: "Leaf", 4: "Sharding"},
    "Attribute": {5: "Tensor", 6: "Graph", 9: "Text", 10: "Tensor", 11: "Graph", 14: "Type", 15: "Type", 22: "Sparse"}
    | {23: "Sparse"},
    "Tensor": {6: "Text", 13: "Leaf", 16: "Leaf"},
    "Sparse": {1: "Tensor", 2: "Tensor"},
    "Value": {2: "Type", 4: "Leaf"},
    "Type": {1: "Type", 2: "Shape", 4: "Type", 5: "Type", 7: "Leaf", 8: "Type", 9: "Type"},
    "Shape": {1: "Leaf"},
}
"""By the kind of a message, the fields that hold messages or texts. Those of a "Leaf" or "Text" are not looked at."""


def check_onnx(data: bytes, place: object) -> None:
    """Raise DataError if a file has more parts than a network has, or breaks off."""
    count = fields_seen = 0
    rest = [("Model", 0, len(data))]
    while rest:
        kind, at, end = rest.pop()
        fields = _FIELDS.get(kind)
        if fields is None:
            continue
        while at < end:
            key, at = _varint(data, at, end, place)
            wire = key & 7
            fields_seen += 1
            if wire == 2:
                size, at = _varint(data, at, end, place)
                if size > end - at:
                    raise _damaged(place)
                inner = fields.get(key >> 3)
                if inner is not None:
                    count += 1
                    rest.append((inner, at, at + size))
                elif (kind, key >> 3) == ("Tensor", 1):  # sizes, packed: a number has a byte or more
                    fields_seen += size
                at += size
            elif wire == 0:
                _, at = _varint(data, at, end, place)
            elif wire in (1, 5):
                at += 8 if wire == 1 else 4
            else:
                raise _damaged(place)
            if count > MOST or fields_seen > MOST_FIELDS:
                message = (
                    f"{place}: refused: it has more nodes, arrays and other parts than a network of 10,000 layers; "
                )
                raise DataError(message + "look at it with onnx itself, if you trust it")


def _varint(data: bytes, at: int, end: int, place: object) -> tuple[int, int]:
    """Return the number at a place, seven bits a byte, and where it ends."""
    value = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
    raise _damaged(place)


def _damaged(place: object) -> DataError:
    return DataError(f"{place}: expected an ONNX file, got one that is damaged or another; export it again")
