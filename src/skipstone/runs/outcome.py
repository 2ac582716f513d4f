"""How a run under a runner ended, as a value: nothing is raised across processes, so one bad run spoils no other."""

import signal
from dataclasses import dataclass
from typing import Literal

Status = Literal["finished", "kept", "failed", "killed", "interrupted"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one run ended.

    `run` is the name of its folder. `finished` ran to its end now, `kept` was complete before and not run again,
    `failed` raised an error (`message` is its text, `traceback` the whole), `killed` lost its process without a word
    (`message` names the signal or exit status), `interrupted` was stopped by Ctrl-C. What is not complete resumes
    when the same comparison is run again.
    """

    run: str
    status: Status
    message: str = ""
    traceback: str = ""

    @property
    def complete(self) -> bool:
        return self.status in ("finished", "kept")


def exit_text(exit_code: int | None) -> str:
    """What the end of a process means: -9 is `killed by SIGKILL`, 3 is `exit status 3`."""
    if exit_code is None:
        return "still running"
    if exit_code >= 0:
        return f"exit status {exit_code}"
    try:
        return f"killed by {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"killed by signal {-exit_code}"
