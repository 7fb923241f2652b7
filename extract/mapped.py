"""Arrays that lie in a file and are mapped into memory, read without all of them staying there."""

import mmap

import numpy as np


def release(array: np.ndarray) -> None:
    """Give back the memory taken by what has been read of a mapped array, or of the one it is a part of.

    It is read from the file again when it is needed again. For an array that is not mapped, or that can be written to,
    and where the system does not offer it, nothing happens.
    """
    if not isinstance(array, np.memmap) or array.mode != "r" or not hasattr(mmap, "MADV_DONTNEED"):
        return
    source = array
    while isinstance(source, np.ndarray):
        source = source.base
    if isinstance(source, mmap.mmap):
        source.madvise(mmap.MADV_DONTNEED)
