"""One run on several devices: the processes that torchrun starts, started again where one is killed.

The parent tries the network, starts torchrun, and tells the run's progress from its folder. It writes nothing there:
the first rank does. A rank that raises leaves the reason in a file; a rank that dies leaves none, and the run goes on
from its checkpoint.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from skipstone.core.errors import SkipstoneError, text_of
from skipstone.runs.folder import demand_free, demand_same, holds_work
from skipstone.runs.losses import Losses
from skipstone.runs.outcome import exit_text
from skipstone.runs.records import METRICS_FILE, EpochRecord, RunResult, RunSpec, read_lines, read_run
from skipstone.training.progress import Progress, Silent

RETRIES = 3
_POLL_SECONDS = 0.2
_HEARD_SECONDS = 3.0
"""How long a rank that raises waits before it says so: where another was killed its own error is an echo of that."""

_FAILURE = "failure.txt"
_EXIT = re.compile(r"exitcode\s*:\s*(-?\d+)")


def launch(spec: RunSpec, *, resume: bool, progress: Progress) -> RunResult:
    """Train `spec` in `spec.devices` processes, as `train` does; what a network raised is a plain `SkipstoneError`."""
    from skipstone.training.trainer import prepare

    demand_devices(spec)
    folder = Path(str(spec.out))
    if resume and holds_work(folder):
        record = read_run(folder)
        demand_same(record, spec)
        if record.result is not None:
            return record.result
        batches, done = 0, len(record.epochs)
    else:
        demand_free(folder)
        batches, done = len(prepare(replace(spec, devices=1, out=None), progress).batches), 0
    progress.started(spec, batches, done)
    watcher = _Watcher(folder, progress, done)
    losses = Losses(RETRIES, done)
    with tempfile.TemporaryDirectory(prefix="skipstone-") as scratch:
        while True:
            why = _attempt(spec, Path(scratch), watcher)
            if why is None:
                return _result(folder)
            if not losses.bearable(watcher.look()):
                raise SkipstoneError(f"{spec.model}: a process was {losses.said}; the last was {why}; {_kept(folder)}")
            progress.noted(f"a process was lost ({why}); all start again after epoch {watcher.look()}")


def demand_devices(spec: RunSpec) -> None:
    """Refuse a run on more devices than there are, or than its batch has images; `SkipstoneError` says how many."""
    import torch

    if spec.out is None:
        raise SkipstoneError(f"a run on {spec.devices} devices needs a folder to go on from: give one in `out`")
    on_gpus = spec.device.startswith("cuda") or (spec.device == "auto" and torch.cuda.is_available())
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    there, what = (torch.cuda.device_count(), "GPUs") if on_gpus else (cores, "cores")
    if spec.devices > there:
        raise SkipstoneError(f"devices is {spec.devices}, and this machine has {there} {what}")
    if spec.devices > spec.recipe.batch_size:
        raise SkipstoneError(f"devices is {spec.devices}, more than the {spec.recipe.batch_size} images of a batch")


def _attempt(spec: RunSpec, scratch: Path, watcher: "_Watcher") -> str | None:
    """Run torchrun to its end: None where the run is finished, else how a process was lost."""
    told = scratch / "spec.json"
    told.write_text(json.dumps(spec.to_dict()))
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={spec.devices}",
        "--monitor-interval=0.2", "-m", "skipstone.training.torchrun", str(told),
    ]  # fmt: skip
    with (scratch / "log").open("w+b") as log:
        # Its own session, so that Ctrl-C comes to us alone; its standard input ends with us, and the ranks with that.
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=_environment(spec), start_new_session=True
        )
        try:
            while process.poll() is None:
                watcher.look()
                time.sleep(_POLL_SECONDS)
        finally:
            process.terminate()  # it ends its ranks
            process.communicate()
        watcher.look()
        if process.returncode == 0:
            return None
        if (scratch / _FAILURE).is_file():
            raise SkipstoneError((scratch / _FAILURE).read_text())
        log.seek(0)
        ends = _EXIT.findall(log.read().decode(errors="replace"))
        return exit_text(int(ends[-1])) if ends else f"torchrun ended with {exit_text(process.returncode)}"


def _environment(spec: RunSpec) -> dict[str, str]:
    """One thread a core over all ranks: as many as there are cores in each would wait for one another."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {"OMP_NUM_THREADS": str(max(1, cores // spec.devices)), **os.environ}


class _Watcher:
    """Tells of the epochs that have come to stand in the folder."""

    def __init__(self, folder: Path, progress: Progress, done: int) -> None:
        self._path, self._progress, self._done = folder / METRICS_FILE, progress, done

    def look(self) -> int:
        """How many epochs stand there."""
        records: Sequence[EpochRecord] = read_lines(EpochRecord, self._path)
        for record in records[self._done :]:
            self._progress.finished_epoch(record)
        self._done = max(self._done, len(records))
        return self._done


def _result(folder: Path) -> RunResult:
    result = read_run(folder).result
    if result is None:
        raise SkipstoneError(f"{folder}: all processes ended well and left no result; {_kept(folder)}")
    return result


def _kept(folder: Path) -> str:
    return "what was finished is kept, and --resume goes on from it" if holds_work(folder) else "no epoch was finished"


# ---- in a rank


def main(told: Path) -> int:
    """A rank: train its part, and leave the reason of a failure where the parent finds it; an exit status."""
    _end_with_parent()
    try:
        from skipstone.training.trainer import train

        train(RunSpec.from_dict(json.loads(told.read_text())), resume=True, progress=Silent())
    except BaseException as error:  # noqa: BLE001 - whatever it was, the parent says it
        time.sleep(_HEARD_SECONDS)
        said = str(error) if isinstance(error, SkipstoneError) else f"{type(error).__name__}: {text_of(error)}"
        try:
            with told.with_name(_FAILURE).open("x") as file:
                file.write(said)
        except FileExistsError:
            pass  # another rank's was first, and ours an echo
        return 1
    return 0


def _end_with_parent() -> None:
    """End this process when standard input ends: the parent holds the other end, and has gone."""

    def watch() -> None:
        sys.stdin.buffer.read()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    status = main(Path(sys.argv[1]))
    sys.stdout.flush()
    # Not by way of the interpreter's end: torch's reducer can wait for a process group that has gone.
    os._exit(status)
