"""The `skipstone` command: one file a command, found through one table.

A command's module holds `run(...) -> int`, its parameters annotated for cyclopts and described in its docstring. It
parses, calls one public function, renders, and returns the exit status: 0 clean, 1 findings, 2 could not run. What
several commands share is in `arguments` (what is typed) and `output` (what is shown); none imports another. Results go
to stdout, progress and errors to stderr; errors end in `boundary`. Command modules import torch and everything heavy
inside `run` only, so that `--help` answers at once.
"""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from skipstone.cli import output
from skipstone.cli.boundary import CLEAN, COULD_NOT_RUN, guarded, tell, told_once

if TYPE_CHECKING:
    from cyclopts import App

ENDED = 143  # by SIGTERM, as a shell would say it

# Command -> one-line summary. The module is `skipstone.cli.<name>`, but for `run`: a module of that name would take the
# place of this package's own function once it is imported.
COMMANDS = {
    "check": "find what is wrong with a network's skip connections, and how to mend it",
    "run": "run a program as it is; under its traceback, what is wrong in its network and how to mend it",
    "show": "print each layer's output shape and the network with its skips as arcs",
    "sizes": "tell the exact legal input sizes of a network",
    "explain": "print the page of a finding's code or of a design, or what a word means",
    "flow": "tell what a batch sends back to each layer, what each skip contributes, and what is wrong",
    "connect": "put a skip connection into a network, and tell what it costs",
    "ablate": "take skip connections out of a network, live or in its source",
    "diff": "tell which skip connections two networks do not share",
    "train": "train one network and write a run folder",
    "compare": "train several networks over seeds and write a report",
    "search": "look for better settings, and see over fresh seeds whether they are",
    "claims": "list what tutorials say of skip connections, each statement tried, with its verdict",
    "runs": "list what was trained: state, accuracy, time; as a table, JSON or CSV; delete",
    "models": "list the reference networks, with their costs",
    "blocks": "list the catalogue of skip designs",
    "learn": "lessons on skip connections, exercises that are really checked, a quiz; begin: skipstone learn next",
    "demo": "check the tutorials' networks, train plain / residual / dense, write a report",
}

_FILES = {"run": "program"}  # a module named as this package's function would take its place
_SEVERAL = frozenset({"learn"})  # commands with commands of their own: the module holds `app`

_process = {"ours": False}  # whether this process runs the command line and nothing else


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given[:1] == ["run"]:
        # A program that ends by an exception or a signal ends this process as it would have ended its own.
        from skipstone.cli.program import main as run_program

        run_program(given[1:])
        sys.exit(CLEAN)
    from skipstone.cli import terminal

    _process["ours"] = True
    terminal.prepare()
    status = run(given)
    sys.exit(ENDED if terminal.was_ended() else status)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status; any error is one line on stderr by then, see `boundary`."""
    return guarded(lambda: _run(arguments))


def prepare_to_record() -> None:
    """Called by commands that record networks and compile nothing: halves their start, in a process of their own.

    A Keras network is built on torch there, whose calls are what is recorded.
    """
    if _process["ours"]:
        os.environ.setdefault("KERAS_BACKEND", "torch")
        with output.waiting("loading torch"):
            from skipstone.tracing.startup import postpone_dynamo

            postpone_dynamo()


def _run(arguments: Sequence[str]) -> int:
    from cyclopts import CycloptsError

    from skipstone.models.importing import PartialImportWarning

    os.getcwd()  # raises where the folder is gone, in which torch would end the process while it is imported
    try:
        with told_once(PartialImportWarning):
            status = _app()(list(arguments), exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        command = " ".join(["skipstone", *(error.command_chain or ())])
        tell(f"{' '.join(str(error).split())} See {command} --help")
        return COULD_NOT_RUN
    return status if isinstance(status, int) else CLEAN


def _app() -> "App":
    from cyclopts import App, Parameter

    from skipstone import __version__

    app = App(
        name="skipstone",
        help="Skip connections in PyTorch networks: check them, build them, rewire them, measure what they buy.",
        version=__version__,
        suppress_keyboard_interrupt=False,
        help_format="plaintext",
        default_parameter=Parameter(negative=""),  # no --no-flag and --empty-list beside each option
    )
    for name, summary in COMMANDS.items():
        app.command(
            f"skipstone.cli.{_FILES.get(name, name)}:{'app' if name in _SEVERAL else 'run'}", name=name, help=summary
        )
    return app
