"""What is looked at while a program runs, and what is said of it when it ends."""

import traceback
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torch import nn

from skipstone.core.errors import printable
from skipstone.programs.calls import Listener, RootCall, Watch
from skipstone.programs.culprit import culprit_of, unwrapped
from skipstone.programs.losses import ELEMENTWISE, MODULES, LossFault, fault_in_stack
from skipstone.programs.saying import say
from skipstone.tracing.keras_places import note_calls_when_loaded

if TYPE_CHECKING:
    from skipstone.programs.explanation import Explanation


class Observer:
    """Watches the root calls of a program; keeps what its losses were given wrongly, and with `check` reports.

    Each root module that is called in training mode is checked once, when it is called for the second time (its first
    step is then behind it) or when the program ends.
    """

    def __init__(self, *, check: bool = False) -> None:
        self.watch = Watch(self._listener)
        self._check = check
        self._checked: set[int] = set()
        self._faults: dict[tuple[object, ...], LossFault] = {}
        self._reports: list[str] = []
        self._show: Callable[..., Any] | None = None

    def start(self) -> None:
        """Begin to watch calls, where layers of Keras are called, and torch's own warnings of shapes that differ."""
        self.watch.start()
        note_calls_when_loaded()
        if self._show is None:
            self._show, warnings.showwarning = warnings.showwarning, self._on_warning

    def stop(self) -> None:
        """End the watch."""
        self.watch.stop()
        if warnings.showwarning == self._on_warning and self._show is not None:
            warnings.showwarning = self._show
        self._show = None

    def tell(self) -> None:
        """Say on stderr what was found, once the program has ended. Nothing is said where nothing was."""
        if self._check:
            for module, call in self.watch.roots():
                self._check_once(module, call)
        faults = [f"skipstone: {fault.title}\n{fault}" for fault in self._faults.values()]
        for text in (*faults, *self._reports):
            say(text)
        self._faults.clear()
        self._reports.clear()

    def explain(self, error: BaseException) -> "Explanation | None":
        """Explain an error of the program; the network it came out of needs no check of its own then."""
        from skipstone.programs.explanation import explain

        with self.watch.unseen():
            culprit = culprit_of(error, self.watch)
            if culprit is not None:
                self._checked.add(id(culprit.root))
            return explain(error, self.watch)

    def _listener(self, module: nn.Module) -> Listener | None:
        """Who is told of each call of a root: most are not worth a look, and cost the program none."""
        if MODULES.get(type(module)) in ELEMENTWISE:
            return self._before_loss
        return self._before_step if self._check and type(module) not in MODULES else None

    def _before_loss(self, module: nn.Module, call: RootCall, args: tuple[object, ...]) -> None:
        if len(args) == 2 and getattr(args[0], "shape", None) != getattr(args[1], "shape", None):
            self._note(fault_in_stack(MODULES[type(module)], *args))

    def _before_step(self, module: nn.Module, call: RootCall, args: tuple[object, ...]) -> None:
        if call.number:
            self._check_once(module, call)

    def _on_warning(self, message: Any, category: Any, filename: Any, lineno: Any, *rest: Any, **named: Any) -> None:
        if "target size" in str(message):
            self._note(fault_in_stack())
        if self._show is not None:
            self._show(message, category, filename, lineno, *rest, **named)

    def _note(self, found: LossFault | None) -> None:
        if found is not None:
            self._faults.setdefault((found.loss, found.place), found)

    def _check_once(self, module: nn.Module, call: RootCall) -> None:
        root = unwrapped(module)
        if not call.training or id(root) in self._checked or type(root) in MODULES:
            return
        self._checked.add(id(root))
        try:
            with self.watch.unseen():
                self._reports.append(_report(root, call))
        except Exception as ours:  # noqa: BLE001 - a fault of ours never changes the program's course; it is told
            line = traceback.format_exception_only(ours)[-1].strip()
            self._reports.append(f"skipstone: could not check {type(root).__name__}: {line}")


def _report(root: nn.Module, call: RootCall) -> str:
    from skipstone.checks import check

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return printable(f"skipstone: {type(root).__name__}\n\n{check(root, call.example())}")
