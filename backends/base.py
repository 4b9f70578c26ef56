"""Base class of all backends: the few operations that the Array API standard does not define. No math."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from portanet.backends.host import HostArray, Memory, check_real, host_array, host_memory, to_host
from portanet.errors import BackendError, ConfigError, OutOfMemoryError, PortanetError, unknown
from portanet.typing import Array

F = TypeVar("F", bound=Callable[..., Any])

DTYPES = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float32", "float64"),
)
"""The names of the standard's dtypes except the complex ones, which networks do not use."""

WIDE = frozenset({"int64", "uint64", "float64"})
"""The dtypes that JAX supports only with jax_enable_x64."""


def dtype_name(x: Array) -> str:
    """Return the standard's name for the dtype of `x`, without a library prefix (``torch.float32``)."""
    return str(x.dtype).rpartition(".")[2]


class Backend:
    """A device of an array library, and transfers to and from it. Backends have no global state and can be combined.

    Attributes
    ----------
    name : str
        The library: ``"numpy"``, ``"cupy"``, ``"torch"``, ``"jax"``, ``"strict"``.
    spec : str
        Library and device, as :func:`portanet.backends.get` takes them: ``"numpy"``, ``"cupy:1"``, ``"torch:cuda:0"``.
    device : Any
        The device in the library's own terms, as its ``asarray(..., device=)`` takes it.
    xp : Any
        The library's namespace as array-api-compat gives it.
    rows : int or None
        Number of samples that is fastest to compute at a time, at most; None for no limit.
    """

    name: str
    spec: str
    device: Any
    xp: Any
    rows: int | None = None

    def asarray(self, x: Array, dtype: str | None = None) -> Array:
        """Return `x` on this backend's device, as `dtype` (a standard name; None keeps the dtype that `x` has).

        `x` is a host array, a list, a number, or an array of any of the libraries; one of another library comes by way
        of the host. An array that is already here in that dtype is returned as it is, and on the CPU the result may
        share the memory of `x`: who writes in place copies first. Floats of 16 bits and fewer become float32.

        Raises
        ------
        ConfigError
            If `dtype` is not a dtype of the standard, or the device does not support it.
        DataError
            If `x` cannot be converted to an array of numbers.
        OutOfMemoryError
            If it does not fit into memory.
        """
        if dtype is not None and dtype not in DTYPES:
            raise ConfigError(unknown("dtype", dtype, DTYPES))
        with self.activate():
            if not self._owns(x):
                x = host_array(x, dtype)
            had = dtype_name(x)
            if had not in DTYPES:  # of this library alone: floats of few bits, complex numbers
                check_real(x, had)
                dtype = dtype or "float32"
            with self._scope(dtype or had):
                x = self._put(x)
                return x if dtype in {None, dtype_name(x)} else self.xp.astype(x, getattr(self.xp, dtype))

    def copied(self, x: Array, dtype: str) -> Array:
        """Return a copy of `x`, an array of any of the libraries, on this backend's device, as `dtype`.

        Raises
        ------
        ConfigError, DataError, OutOfMemoryError
            As :meth:`asarray` does.
        """
        return self.xp.asarray(self.asarray(x, dtype), copy=True)

    def count(self, n: int) -> Any:
        """Return a whole number as a compiled function takes and returns it: on most backends as it is."""
        return n

    def to_numpy(self, x: Array) -> HostArray:
        """Return `x` as a NumPy array on the host; waits for the device.

        On the CPU it may share the memory of `x`, and with JAX it is read-only.
        """
        with self.activate():
            return to_host(x)

    def synchronize(self) -> None:
        """Wait until the device has finished all queued work (no-op on the CPU)."""

    def fuse(self, function: F) -> F:
        """Return `function` (elementwise, pure) fused into one kernel, if the library supports that."""
        return function

    def compile(self, function: F, donate: tuple[int, ...] = ()) -> F:
        """Return the pure `function` compiled, if the library supports that.

        The arguments at the positions `donate` are donated: their arrays may be overwritten, and must not be used after
        the call.
        """
        return function

    def scan(self, function: Callable[[Any, Any, Any], tuple[Any, Any]]) -> Callable[[Any, Any, Any], Any] | None:
        """Return a function that runs a pure `function` many times in one call, or None if that saves nothing.

        ``run(carry, shared, items) -> (carry, outputs)`` is ``carry, output = function(carry, shared, item)`` for each
        item along the leading axis of the arrays in `items`, with the outputs stacked. The arrays of `carry` are
        donated.
        """
        return None

    def fetch(self, arrays: Sequence[Array]) -> HostArray:
        """Return arrays of one shape as one host array, shape (len(arrays), ...), in a single transfer."""
        with self.activate():
            return to_host(self.xp.stack(list(arrays)))

    def upload(self, batches: Iterator[tuple[HostArray | None, ...]]) -> Iterator[tuple[Array | None, ...]]:
        """Yield tuples of host arrays as arrays on the device, in order; unchanged if the device is the host."""
        for arrays in batches:
            yield tuple(None if a is None else self.asarray(a) for a in arrays)

    def memory(self) -> Memory | None:
        """Return free and total memory of the device in bytes, or None if unknown; by default that of the host."""
        return host_memory()

    @contextlib.contextmanager
    def activate(self, dtype: str = "float32") -> Iterator[None]:
        """Make the device current for the block, allow `dtype` in it, and translate the library's errors.

        It can be nested, and takes a few microseconds.

        Raises
        ------
        OutOfMemoryError
            If the block runs out of device or host memory.
        BackendError
            If the device's context dies in the block.
        ConfigError
            If the device does not support `dtype`.
        """
        try:
            with self._scope(dtype):
                yield
        except PortanetError:  # raised in the block, or translated by a nested activate()
            raise
        except Exception as error:
            ours = self._translate(error)
            if ours is None:
                raise
            raise ours from error

    # Each library's backend overrides the following methods.

    def _owns(self, x: Array) -> bool:
        """Return whether `x` is an array of this library, on any device."""
        raise NotImplementedError

    def _put(self, x: Array) -> Array:
        """Return `x`, a NumPy array or one of this library, on this device; runs inside :meth:`activate`."""
        raise NotImplementedError

    def _scope(self, dtype: str) -> contextlib.AbstractContextManager[Any]:
        """Return a context that makes the device current and allows `dtype`, without translating errors."""
        return contextlib.nullcontext()

    def _translate(self, error: Exception) -> PortanetError | None:
        """Return the library's `error` as a PortanetError, or None to re-raise it unchanged."""
        return self._out_of_memory(error) if isinstance(error, MemoryError) else None

    def _out_of_memory(self, error: Exception) -> OutOfMemoryError:
        memory = None
        with contextlib.suppress(Exception):  # a failing device may not report its free memory
            memory = self.memory()
        free = "" if memory is None else f" ({memory})"
        asked = str(error).strip().rstrip(".") or "no more memory"
        fix = "use a smaller batch size, fewer units, or dtype float32"
        return OutOfMemoryError(f"[{self.spec}] out of memory: {asked}{free}; {fix}")

    def _dead(self, error: Exception) -> BackendError:
        said = str(error).strip().partition("\n")[0]
        fix = "this process must be restarted; resume from the last checkpoint"
        return BackendError(f"[{self.spec}] the CUDA context is dead: {said}; {fix}")

    def _forked(self, what: str = "used the GPU, and CUDA cannot be used after a fork") -> BackendError:
        fix = "start it by spawn (multiprocessing.get_context('spawn')), as joblib's loky and Dask's workers are"
        return BackendError(f"[{self.spec}] this process was forked from one that {what}; {fix}")

    def __repr__(self) -> str:
        return f"<portanet backend {self.name} on {self.device}>"
