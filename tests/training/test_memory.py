"""What `keep_freed_memory` changes, asked of the kernel by a process of its own."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

PROGRAM = """
import ctypes, json, resource, sys
from pathlib import Path
from skipstone.training.memory import keep_freed_memory

if sys.argv[1] != "unlimited":
    resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]), resource.RLIM_INFINITY))
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]

def faults():
    "Of the last of three blocks of 100 MiB, written to and freed one after the other."
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        block = libc.malloc(100 << 20)
        libc.memset(block, 1, 100 << 20)
        libc.free(block)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def flags():
    "The kernel's of every part of the heap."
    parts, inside = [], False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if not line.split()[0].endswith(":"):
            inside = line.endswith("[heap]")
        elif inside and line.startswith("VmFlags:"):
            parts += line.split()[1:]
    return parts

peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
said = {"by_default": faults()}
said |= {"peak_before": peak(), "kept": keep_freed_memory()}
said |= {"faults": faults(), "large": "hg" in flags(), "peak_after": peak()}
print(json.dumps(said))
"""

LARGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")


@cache
def ask(address_space: str = "unlimited") -> dict[str, int]:
    command = [sys.executable, "-c", PROGRAM, address_space]
    return dict(json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout))


def test_a_freed_block_is_used_again_without_a_page_of_it_mapped_anew() -> None:
    said = ask()
    assert said["kept"]
    assert said["faults"] < said["by_default"] / 10, said
    assert said["peak_after"] < said["peak_before"] + 20_000, "address space alone, in KiB of memory"


@pytest.mark.skipif(not LARGE_PAGES.exists(), reason="a kernel without large pages")
def test_the_heap_asks_for_large_pages() -> None:
    assert ask()["large"]


@pytest.mark.skipif(not LARGE_PAGES.exists(), reason="a kernel without large pages")
def test_under_a_limit_of_address_space_none_of_it_is_taken() -> None:
    said = ask(str(8 << 30))
    assert said["kept"]
    assert not said["large"]
