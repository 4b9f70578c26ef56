"""The NVIDIA driver and GPUs of this machine, found without an array library."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from pathlib import Path

_PCI = Path("/sys/bus/pci/devices")
_NVIDIA, _DISPLAY = "0x10de", "0x03"  # PCI's vendor, and its class of display controllers
_NODES = (Path("/dev/nvidiactl"), Path("/dev/nvhost-ctrl"), Path("/proc/driver/nvidia"))


def driver_version() -> int:
    """Return the CUDA version of the NVIDIA driver, ``1000 * major + 10 * minor``, or 0; needs no CuPy."""
    try:
        library = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        version = ctypes.c_int(0)
        failed = library.cuDriverGetVersion(ctypes.byref(version))
    except (OSError, AttributeError):
        return 0
    return 0 if failed else version.value


def has_hardware(pci: Path = _PCI) -> bool:
    """Return whether this machine has an NVIDIA GPU, also one without a driver (which only Linux can show)."""
    if driver_version() or any(node.exists() for node in _NODES):
        return True
    for folder in pci.glob("*"):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            vendor, kind = ((folder / name).read_text("ascii").strip() for name in ("vendor", "class"))
            if vendor == _NVIDIA and kind.startswith(_DISPLAY):
                return True
    return False
