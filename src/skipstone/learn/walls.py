"""The walls around a student's code: what the system enforces where it can, and a hook of Python's everywhere.

Three layers, none of which is trusted alone. Limits of the system (POSIX): processor time, memory, size of files,
number of processes. A namespace of its own (Linux, where it lets us): no network at all, and the folder of units,
solutions among it, is not there. And an audit hook, everywhere: no sockets, no processes, no signals to others, no
foreign libraries, files only of Python's own and of the exercise's folder. docs/design/learn.md says what this does not
stop.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

UNITS = Path(__file__).with_name("units")
_CLONE_NEWNS, _CLONE_NEWUSER, _CLONE_NEWNET = 0x00020000, 0x10000000, 0x40000000
_MS_REC, _MS_PRIVATE = 0x4000, 0x40000

_REFUSED = (
    "socket.", "subprocess.", "ctypes.", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.kill",
    "os.startfile", "signal.pthread_kill", "pty.", "winreg.", "msvcrt.", "syslog.", "ftplib.", "urllib.", "smtplib.",
    "http.", "webbrowser.", "sys.addaudithook", "_thread.start_new_process", "resource.prlimit", "resource.setrlimit",
)  # fmt: skip
_READS = ("open", "os.listdir", "os.scandir", "os.walk", "glob.glob", "os.chdir")
_WRITES = (
    "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown",
    "os.utime", "shutil.",
)  # fmt: skip
_TWO_PATHS = ("os.rename", "os.link", "os.symlink")
_NOT_UNITS = "the units, with their solutions, are not to be read in an exercise"


def isolate() -> tuple[str, ...]:
    """Leave the network, and the folder of units, behind for good; what was done in words. Call before any thread.

    Nothing happens where the system has no such thing or does not let us; the other walls stand then.
    """
    if not sys.platform.startswith("linux"):
        return ()
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    if not hasattr(libc, "unshare") or libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET | _CLONE_NEWNS):
        return ()
    with suppress(OSError):  # without them a file that is made belongs to nobody, which few systems allow
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    done = ["no network: a namespace of its own"]
    libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)
    if libc.mount(b"none", os.fsencode(UNITS), b"tmpfs", 0, b"size=0,mode=000") == 0:
        done.append("units and solutions: not in its file system")
    return tuple(done)


def limit(
    *, seconds: int, memory: int, file_size: int, processes: int, when_up: Callable[[FrameType | None], None]
) -> None:
    """Limits of this process from here on: `seconds` of processor time, bytes of memory beyond what it has now, ...

    When the time is up `when_up` is called with the frame that runs; two seconds later the system ends the process.
    """
    try:
        import resource
    except ImportError:
        _watch_the_time(seconds, when_up)
        return

    def at_most(what: int, value: int, hard: int | None = None) -> None:
        top = resource.getrlimit(what)[1]
        hard = value if hard is None else hard
        resource.setrlimit(what, (value, hard if top == resource.RLIM_INFINITY else min(hard, top)))

    signal.signal(signal.SIGXCPU, lambda number, frame: when_up(frame))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    used = int(sum(os.times()[:2]))
    at_most(resource.RLIMIT_CPU, used + seconds, used + seconds + 2)
    at_most(resource.RLIMIT_AS, _virtual_size() + memory)
    at_most(resource.RLIMIT_FSIZE, file_size)
    at_most(resource.RLIMIT_CORE, 0)
    if hasattr(resource, "RLIMIT_NPROC"):
        with suppress(ValueError, OSError):
            at_most(resource.RLIMIT_NPROC, processes)


def _watch_the_time(seconds: int, when_up: Callable[[FrameType | None], None]) -> None:
    """Where the system sets no limit to the processor time (Windows), a thread looks at it, and ends the process.

    What computes for long without letting another thread run is ended after the elapsed time, from outside.
    """
    now, sleep, end_process, frames = time.process_time, time.sleep, os._exit, sys._current_frames
    main, end = threading.get_ident(), now() + seconds

    def watch() -> None:
        while now() < end:
            sleep(0.02)
        try:
            when_up(frames().get(main))
        finally:
            end_process(1)

    threading.Thread(target=watch, daemon=True).start()


def _virtual_size() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (OSError, ValueError):
        return 8 << 30
    return pages * os.sysconf("SC_PAGE_SIZE")


def forbid(work: str) -> None:
    """The hook, for good: refuses what an exercise has no need of, with a PermissionError at the student's line.

    `work` is the one folder where files may be written.
    """
    libraries = tuple(sorted({_folder(path) for path in (*sys.path, sys.prefix, sys.base_prefix) if path}))
    demand = _guard(libraries, _folder(str(UNITS)), _folder(work))
    tell = PermissionError

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event.startswith(_REFUSED):
            raise tell(f"{event} is not allowed in an exercise")
        if event == "import" and str(args[0]).startswith("skipstone.learn.units"):
            raise tell(_NOT_UNITS)
        if event in _READS or event.startswith(_WRITES):
            demand(event, args)

    sys.addaudithook(hook)


def _guard(libraries: tuple[str, ...], units: str, writable: str) -> Callable[[str, tuple[Any, ...]], None]:
    """What decides of each path. All it calls is bound here: names that a student's code can't replace."""
    real, fsdecode, keep, tell, is_write = os.path.realpath, os.fsdecode, isinstance, PermissionError, _is_write
    devices = (real(os.devnull), "/dev/urandom", "/dev/random")

    def demand(event: str, args: tuple[Any, ...]) -> None:
        writes = event not in _READS or (event == "open" and is_write(args))
        for value in args[: 2 if event in _TWO_PATHS else 1]:
            if not keep(value, bytes | str) and not hasattr(value, "__fspath__"):
                continue  # a descriptor that is open already
            path = real(fsdecode(value))
            inside = f"{path}{os.sep}"
            if inside.startswith(units):
                raise tell(_NOT_UNITS)
            if path in devices or inside.startswith(writable):
                continue
            if writes:
                raise tell(f"{path} is not to be written in an exercise; write into the working folder")
            if not inside.startswith(libraries):
                raise tell(f"{path} is not to be read in an exercise")

    return demand


def _is_write(args: Sequence[Any]) -> bool:
    mode, flags = (*args, None, None)[1:3]
    if isinstance(mode, str) and set(mode) & set("wax+"):
        return True
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND))


def _folder(path: str) -> str:
    return os.path.realpath(path).rstrip(os.sep) + os.sep
