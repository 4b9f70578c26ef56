"""A training step on CuPy as one CUDA graph: about a hundred kernels, launched by one call.

The plain step is the reference and the fallback. A graph is used only if its first launch gives the results of the same
step, kernel by kernel, on copies of the arguments. If it does not, or if something cannot be captured (a read by the
host, an upload), the step runs as without graphs, and one warning gives the reason.

There is one graph at a time: for shapes that occur twice in a row, with arrays passed on from call to call. A smaller
last batch runs kernel by kernel, on the same arrays. It occurs once per epoch, and a separate graph would need a second
copy of all parameters, transferred in both directions each time.
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
    """A pure function that is captured as a CUDA graph if possible.

    Parameters
    ----------
    function : callable
        Takes positional arguments: nested dicts, tuples and lists of arrays, numbers and settings. Within a graph
        numbers such as the learning rate are zero-dimensional arrays, as in JAX's jit: a new value needs no new graph.
    donate : tuple of int
        Positions of the arguments whose arrays may be overwritten.
    """

    def __init__(self, function: Callable[..., Any], donate: tuple[int, ...]) -> None:
        self.function, self.donate = function, donate
        self.graph: Graph | None = None
        self.refused = ""  # why it cannot be captured; empty if it can
        self._kind: Any = None  # the kind of the last call,
        self._handed: set[int] = set()  # and the arrays that it returned

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
        """Return the graph of this call, launched once; the arguments are unchanged."""
        if self.graph is not None:
            cupy.cuda.get_current_stream().synchronize()  # it may be running
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
    """The flattened arguments of a call.

    `kind` is everything except the values; calls of the same kind can use the same graph. A number has the kind of an
    array of zero dimensions: floats have the dtype of the first floating-point array, integers int32.
    """

    leaves: list[Any]  # arrays and numbers in a flat list
    given: list[int]  # positions of the donated leaves
    kind: tuple[Any, ...]

    @classmethod
    def of(cls, args: tuple[Any, ...], donate: tuple[int, ...]) -> Call:
        """Flatten arguments.

        Raises
        ------
        BackendError
            If one is neither array nor number nor setting, or a donated array occurs twice.
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
            message = "an array that may be written over stands twice among the arguments"  # it would have two copies
            raise BackendError(message)
        real = next((a.dtype for a in leaves if isinstance(a, cupy.ndarray) and a.dtype.kind == "f"), _FLOAT64)
        return cls(leaves, given, (tuple(forms), tuple(_kind(leaf, real) for leaf in leaves)))

    def copies(self) -> list[Array]:
        """Return copies of the leaves as new arrays."""
        arrays = [cupy.empty(shape, dtype) for shape, dtype in self.kind[1]]
        _fill(arrays, self.leaves)
        return arrays

    def built(self, leaves: Sequence[Any]) -> tuple[Any, ...]:
        """Return the arguments rebuilt with other leaves."""
        row = iter(leaves)
        return tuple(put_together(form, row) for form in self.kind[0])


class Graph:
    """A captured function for arguments of one kind.

    It owns the arrays that it reads, `inputs`, and writes, `outputs`; an array that is overwritten is in both.
    """

    def __init__(self, function: Callable[..., Any], call: Call) -> None:
        self.kind, self.given = call.kind, frozenset(call.given)
        self.inputs = call.copies()
        self._numbers: dict[
            int, float
        ] = {}  # which inputs hold which number: a launch for each is half of a call's time
        self._workspace = cupy.empty(workspace_bytes(), "uint8")
        # A trial run on copies, so that everything is compiled or created before the capture, also for numbers.
        with fusing():
            with own_products(cupy.cuda.get_current_stream(), self._workspace):
                self.expected = _leaves(function(*call.built(call.copies())))
            self.graph, self._memory, found = captured(lambda: function(*call.built(self.inputs)), self._workspace)
        self.outputs: list[Any] = []
        self._form = taken_apart(found, self.outputs, _is_leaf)
        places = {id(array): i for i, array in enumerate(self.inputs)}
        self._origins = [places.get(id(leaf)) for leaf in self.outputs]
        # The caller gets these arrays. It must pass them back, because the next launch overwrites them.
        self._resident = [i for i in self._origins if i is not None and i in self.given]

    def takes(self, call: Call) -> bool:
        """Return whether the call is of this kind, and passes back the arrays that it was given."""
        return self.kind == call.kind and all(call.leaves[i] is self.inputs[i] for i in self._resident)

    def __call__(self, call: Call) -> Any:
        self._read(call)
        self.graph.launch()
        return self.results(call)

    def _read(self, call: Call) -> None:
        """Write the arguments to the arrays that the graph reads; unchanged numbers are skipped."""
        for i, (array, leaf) in enumerate(zip(self.inputs, call.leaves, strict=True)):
            if leaf is array:
                continue
            if isinstance(leaf, cupy.ndarray) or i in self.given:
                _fill([array], [leaf])
            elif self._numbers.get(i) != leaf:
                array.fill(leaf)
                self._numbers[i] = leaf

    def prove(self, call: Call) -> None:
        """Launch the graph for the first time; raise BackendError if the result differs from the trial run."""
        self._read(call)
        self.graph.launch()
        expected, self.expected = self.expected, []
        for a, b in zip(self.outputs, expected, strict=True):
            if not (_same(a, b) if isinstance(a, cupy.ndarray) else a == b):
                message = "its first launch gave other numbers than its kernels one by one"
                raise BackendError(message)

    def results(self, call: Call) -> Any:
        """Return the results of the last launch; those that the next launch overwrites are copied."""
        found = []
        for leaf, i in zip(self.outputs, self._origins, strict=True):
            if i is None:
                found.append(leaf.copy() if isinstance(leaf, cupy.ndarray) else leaf)
            else:  # an argument, overwritten or returned unchanged
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
    """Write leaves to arrays without synchronization: a number is passed as a kernel argument."""
    for array, leaf in zip(arrays, leaves, strict=True):
        if isinstance(leaf, float | int):
            array.fill(leaf)
        elif leaf is not array:
            array[...] = leaf


def _same(a: Array, b: Array) -> bool:
    """Return whether at most one number in a thousand differs: if a gradient is only rounding, Adam's step is ± lr."""
    if a.shape != b.shape:
        return False
    apart = int(cupy.count_nonzero(~cupy.isclose(a, b, rtol=1e-5, atol=1e-7, equal_nan=True)))
    return apart <= int(a.size) // 1000
