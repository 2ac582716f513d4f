"""glibc's allocator, told to keep what training frees, and to have it in large pages."""

import ctypes
import sys
from functools import cache

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_MADV_HUGEPAGE = 14
_MIB = 1 << 20
_LARGE_PAGE = 2 * _MIB
_MMAP_THRESHOLDS = (1024 * _MIB, 32 * _MIB)
"""Blocks from which on glibc maps each by itself: as asked, and the most that an older glibc takes."""

_HEAP = 1000 * _MIB
"""Address space for the heap to grow in, below the first threshold; it costs no memory until it is written to."""


@cache
def keep_freed_memory() -> bool:
    """Let this process reuse blocks up to 1 GiB instead of returning each to the kernel; True if that was possible.

    By default glibc maps every large block afresh and the kernel zeroes its pages again at each step: 1.1x to 1.25x the
    time of a training step on a CPU. Of the heap the next 1,000 MiB are given large pages where the kernel has them on
    request (its `transparent_hugepage` at `madvise`), which the processor finds faster: another 1.05x to 1.35x
    (docs/training.md). An older glibc keeps blocks up to 32 MiB and has no large pages; elsewhere than Linux with
    glibc it does nothing.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        libc = ctypes.CDLL("libc.so.6")
        mallopt, _ = libc.mallopt, libc.madvise
    except (OSError, AttributeError):
        return False
    kept = any(mallopt(_M_MMAP_THRESHOLD, size) for size in _MMAP_THRESHOLDS)
    kept = kept and bool(mallopt(_M_TRIM_THRESHOLD, 2 * 1024 * _MIB - 1))
    if kept:
        _ask_for_large_pages(libc)
    return kept


def _ask_for_large_pages(libc: ctypes.CDLL) -> None:
    """Take one block off the end of the heap, advise the kernel of it, and give it back: glibc cuts the next from it.

    Not under a limit of address space, of which the block would take its part.
    """
    import resource  # not on Windows

    if resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY:
        return
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.restype, libc.free.argtypes = None, [ctypes.c_void_p]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    block = libc.malloc(_HEAP)
    if not block:  # the system promises no more memory than it has
        return
    start = -(-block // _LARGE_PAGE) * _LARGE_PAGE
    libc.madvise(start, block + _HEAP - start, _MADV_HUGEPAGE)  # refused where the kernel has none: nothing is lost
    libc.free(block)
