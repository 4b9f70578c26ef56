"""A step on CuPy as one CUDA graph: some hundred kernels, launched by one call.

The plain step is its reference and its fallback. A graph is used only if its first launch gave what the same step gave
kernel by kernel on copies of its arguments; if it did not, or if something cannot be captured (a read by the host, an
upload), the step runs as it always did, with one warning that says why.

There is one graph at a time: of the shapes that came twice in a row, with arrays handed on from call to call. A smaller
last batch runs kernel by kernel, on the same arrays. It comes once an epoch, and a graph of its own would be a second
home for all parameters, to be carried there and back each time.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cupy

from portanet.backends.cuda_graphs.capture import captured
from portanet.backends.cuda_graphs.cublas import own_products, workspace_bytes
from portanet.backends.cuda_graphs.trees import put_together, taken_apart
from portanet.backends.elementwise import fusing
from portanet.errors import BackendError
from portanet.typing import Array

_log = logging.getLogger("portanet")
_INT32, _INT64, _FLOAT64 = (cupy.dtype(name) for name in ("int32", "int64", "float64"))
_LEAVES = (cupy.ndarray, float, int)


class Graphed:
    """A pure function that becomes a graph where it can.

    Parameters
    ----------
    function : callable
        Of positional arguments: nested dicts, tuples and lists of arrays, numbers and settings. Within a graph numbers,
        such as the learning rate, are arrays without axes, as in what JAX compiles: a new value is no new graph.
    donate : tuple of int
        Positions of the arguments whose arrays may be written over.
    """

    def __init__(self, function: Callable[..., Any], donate: tuple[int, ...]) -> None:
        self.function, self.donate = function, donate
        self.graph: Graph | None = None
        self.refused = ""  # why it is none, and will be none
        self._kind: Any = None  # of the last call,
        self._handed: set[int] = set()  # and which arrays it returned

    def __call__(self, *args: Any, **named: Any) -> Any:
        call = None if named or self.refused else self._call(args)
        if call is None:
            return self.function(*args, **named)
        if self.graph is not None and self.graph.takes(call):
            return self.graph(call)
        if call.kind == self._kind and all(id(call.leaves[i]) in self._handed for i in call.given if _axes(call, i)):
            graph = self._captured(call)
            if graph is not None:
                return graph.results(call)
        found = self.function(*args)
        try:
            self._kind, self._handed = call.kind, {id(leaf) for leaf in _leaves(found)}
        except BackendError as error:
            self._refuse(error)
        return found

    def _call(self, args: tuple[Any, ...]) -> Call | None:
        try:
            return Call.of(args, self.donate)
        except BackendError as error:
            self._refuse(error)
            return None

    def _captured(self, call: Call) -> Graph | None:
        """Return the graph of this call, launched once; the arguments are as they were."""
        if self.graph is not None:
            cupy.cuda.get_current_stream().synchronize()  # it may be under way
            self.graph = None
        try:
            graph = Graph(self.function, call)
            graph.prove(call)
        except Exception as error:
            self._refuse(error)
            return None
        self.graph = graph
        return graph

    def _refuse(self, error: Exception) -> None:
        said = str(error).strip().partition("\n")[0]
        self.refused = f"{type(error).__name__}: {said}"
        name = getattr(self.function, "__name__", type(self.function).__name__)
        _log.warning("%s is no CUDA graph, and its kernels are launched one by one (%s)", name, self.refused)


@dataclass(frozen=True)
class Call:
    """The arguments of a call, taken apart.

    `kind` is what two calls of one graph have in common: all but values. A number is of the same kind as an array that
    holds one; floats take the dtype of the first array of floats, whole numbers int32.
    """

    leaves: list[Any]  # their arrays and numbers, in a row
    given: list[int]  # which of them are given away
    kind: tuple[Any, ...]

    @classmethod
    def of(cls, args: tuple[Any, ...], donate: tuple[int, ...]) -> Call:
        """Take arguments apart.

        Raises
        ------
        BackendError
            Where one is neither array nor number nor setting, or an array that is given away stands there twice.
        """
        leaves: list[Any] = []
        given: list[int] = []
        forms = []
        for i, value in enumerate(args):
            begin = len(leaves)
            forms.append(taken_apart(value, leaves, _is_leaf))
            given += range(begin, len(leaves)) if i in donate else ()
        places = Counter(id(leaf) for leaf in leaves)
        if any(places[id(leaves[i])] > 1 for i in given if isinstance(leaves[i], cupy.ndarray)):
            message = "an array that may be written over stands twice among the arguments"  # their copies would be two
            raise BackendError(message)
        real = next((a.dtype for a in leaves if isinstance(a, cupy.ndarray) and a.dtype.kind == "f"), _FLOAT64)
        return cls(leaves, given, (tuple(forms), tuple(_kind(leaf, real) for leaf in leaves)))

    def copies(self) -> list[Array]:
        """Return the leaves as new arrays."""
        arrays = [cupy.empty(shape, dtype) for shape, dtype in self.kind[1]]
        _fill(arrays, self.leaves)
        return arrays

    def built(self, leaves: Sequence[Any]) -> tuple[Any, ...]:
        """Return the arguments with other leaves."""
        row = iter(leaves)
        return tuple(put_together(form, row) for form in self.kind[0])


class Graph:
    """What a function does with the arguments of one kind, captured.

    It owns the arrays that it reads from, `inputs`, and writes to, `outputs`; one that is written over is in both.
    """

    def __init__(self, function: Callable[..., Any], call: Call) -> None:
        self.kind, self.given = call.kind, frozenset(call.given)
        self.inputs = call.copies()
        self._numbers: dict[
            int, float
        ] = {}  # which inputs hold which number: a launch for each is half of a call's time
        self._workspace = cupy.empty(workspace_bytes(), "uint8")
        # A rehearsal on copies: what is compiled or made at a first call is there then, with arrays for numbers too.
        with fusing():
            with own_products(cupy.cuda.get_current_stream(), self._workspace):
                self.expected = _leaves(function(*call.built(call.copies())))
            self.graph, self._memory, found = captured(lambda: function(*call.built(self.inputs)), self._workspace)
        self.outputs: list[Any] = []
        self._form = taken_apart(found, self.outputs, _is_leaf)
        places = {id(array): i for i, array in enumerate(self.inputs)}
        self._origins = [places.get(id(leaf)) for leaf in self.outputs]
        # These arrays go out to the caller: written over unless it hands them back, they would be lost to it.
        self._resident = [i for i in self._origins if i is not None and i in self.given]

    def takes(self, call: Call) -> bool:
        """Whether the call is of this kind, and hands back the arrays that went out."""
        return self.kind == call.kind and all(call.leaves[i] is self.inputs[i] for i in self._resident)

    def __call__(self, call: Call) -> Any:
        self._read(call)
        self.graph.launch()
        return self.results(call)

    def _read(self, call: Call) -> None:
        """Write the arguments into the arrays that the graph reads; a number that stands there already stays."""
        for i, (array, leaf) in enumerate(zip(self.inputs, call.leaves, strict=True)):
            if leaf is array:
                continue
            if isinstance(leaf, cupy.ndarray) or i in self.given:
                _fill([array], [leaf])
            elif self._numbers.get(i) != leaf:
                array.fill(leaf)
                self._numbers[i] = leaf

    def prove(self, call: Call) -> None:
        """Launch it for the first time; BackendError where it does not give what the rehearsal gave."""
        self._read(call)
        self.graph.launch()
        expected, self.expected = self.expected, []
        for a, b in zip(self.outputs, expected, strict=True):
            if not (_same(a, b) if isinstance(a, cupy.ndarray) else a == b):
                message = "its first launch gave other numbers than its kernels one by one"
                raise BackendError(message)

    def results(self, call: Call) -> Any:
        """Return what the last launch made, with copies of what the next one writes over."""
        found = []
        for leaf, i in zip(self.outputs, self._origins, strict=True):
            if i is None:
                found.append(leaf.copy() if isinstance(leaf, cupy.ndarray) else leaf)
            else:  # an argument, written over or handed through
                found.append(leaf if i in self.given else call.leaves[i])
        return put_together(self._form, iter(found))


def _axes(call: Call, i: int) -> bool:
    return bool(getattr(call.leaves[i], "ndim", 0))


def _is_leaf(value: Any) -> bool:
    return isinstance(value, _LEAVES) and not isinstance(value, bool)


def _leaves(value: Any) -> list[Any]:
    leaves: list[Any] = []
    taken_apart(value, leaves, _is_leaf)
    return leaves


def _kind(leaf: Any, real: Any) -> tuple[tuple[int, ...], str]:
    if isinstance(leaf, cupy.ndarray):
        return leaf.shape, leaf.dtype
    whole = _INT32 if -(2**31) <= leaf < 2**31 else _INT64
    return (), real if isinstance(leaf, float) else whole


def _fill(arrays: Sequence[Array], leaves: Sequence[Any]) -> None:
    """Write leaves into arrays, without waiting: a number goes along with its kernel."""
    for array, leaf in zip(arrays, leaves, strict=True):
        if isinstance(leaf, float | int):
            array.fill(leaf)
        elif leaf is not array:
            array[...] = leaf


def _same(a: Array, b: Array) -> bool:
    """Whether all numbers but one in a thousand are near: where a gradient is only rounding, Adam's step is ± lr."""
    if a.shape != b.shape:
        return False
    apart = int(cupy.count_nonzero(~cupy.isclose(a, b, rtol=1e-5, atol=1e-7, equal_nan=True)))
    return apart <= int(a.size) // 1000
