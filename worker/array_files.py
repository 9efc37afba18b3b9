"""Arrays in files that several processes fill: made at their full size at once.

A file that is mapped into memory grows as pages are first written. On a disk that is full then, the
system kills the writer with a signal instead of telling it; taking the space at once makes it an
error that can be named.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt


def create(path: Path, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> None:
    """A `.npy` file of zeros at `path`, in place of what was there; `OSError` without space."""
    path.unlink(missing_ok=True)
    np.lib.format.open_memmap(path, "w+", dtype, shape)
    if not hasattr(os, "posix_fallocate"):  # macOS
        return
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.posix_fallocate(descriptor, 0, path.stat().st_size)
    finally:
        os.close(descriptor)
