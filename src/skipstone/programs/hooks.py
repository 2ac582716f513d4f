"""Explanations where Python tells of errors: under the traceback of a program, a thread or a block of code."""

import atexit
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, TracebackType
from typing import TYPE_CHECKING

from skipstone.core.frameworks import advice
from skipstone.programs.saying import say, waiting

if TYPE_CHECKING:
    from skipstone.programs.observer import Observer

_WATCH = "skipstone.programs.entrance"  # whose frames stand in a traceback if torch's call was replaced before us
Hook = Callable[[type[BaseException], BaseException, TracebackType | None], object]


class Hooks:
    """Stands behind `sys.excepthook` and `threading.excepthook`: whoever told of errors before does so first."""

    def __init__(self) -> None:
        self.observer: Observer | None = None  # from the moment there is something to observe
        self.program: CodeType | None = None  # the code of the program that runs under us, if one does
        self._before: Hook = sys.__excepthook__
        self._before_in_threads = threading.excepthook
        self._first, self._first_in_threads = self._before, self._before_in_threads
        self._telling = threading.local()

    def start(self) -> None:
        """Put the hooks behind those that are there now."""
        if sys.excepthook != self._on_error:
            self._before = sys.excepthook
            sys.excepthook = self._on_error
        if threading.excepthook != self._on_thread_error:
            self._before_in_threads = threading.excepthook
            threading.excepthook = self._on_thread_error

    def stop(self) -> None:
        """Take the hooks away where nobody has put others over them."""
        if sys.excepthook == self._on_error:
            sys.excepthook = self._before
        if threading.excepthook == self._on_thread_error:
            threading.excepthook = self._before_in_threads

    def _on_error(self, kind: type[BaseException], error: BaseException, place: TracebackType | None) -> None:
        if self.program is None and isinstance(error, SyntaxError):
            error.__traceback__ = None  # the program's text itself: it has not begun
        without_our_frames(error, self.program)
        if getattr(self._telling, "now", False):
            # A hook that the program put over ours (torch.distributed does) calls ours in its turn.
            self._first(kind, error, error.__traceback__)
            return
        self._telling.now = True
        self._before(kind, error, error.__traceback__)
        self._telling.now = False
        if self.program is not None and "torch" in sys.modules:
            _without_compiler()
        tell(error, self.observer)
        self.tell_the_rest()

    def tell_the_rest(self) -> None:
        """What was observed besides the error, if anything was."""
        if self.observer is not None:
            self.observer.tell()

    def _on_thread_error(self, args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None:
            without_our_frames(args.exc_value)
        if getattr(self._telling, "now", False):
            self._first_in_threads(args)
            return
        self._telling.now = True
        self._before_in_threads(args)
        self._telling.now = False
        if args.exc_value is not None:
            tell(args.exc_value, self.observer)


_installed: list[Hooks] = []


def install(*, check: bool = False) -> None:
    """Print an explanation under every traceback that ends the program or a thread.

    With `check`, every root module seen in training is checked once, and what was found is printed when the program
    ends. Once is enough; twice is no harm.
    """
    if _installed:
        return
    from skipstone.programs.observer import Observer

    hooks = Hooks()
    hooks.observer = Observer(check=check)
    hooks.observer.start()
    hooks.start()
    atexit.register(hooks.observer.tell)
    _installed.append(hooks)


def uninstall() -> None:
    """Undo `install`."""
    while _installed:
        hooks = _installed.pop()
        hooks.stop()
        if hooks.observer is not None:
            hooks.observer.stop()
            atexit.unregister(hooks.observer.tell)


@contextmanager
def explaining() -> Iterator[None]:
    """Print an explanation of an error that leaves this block; the error goes on as it was."""
    from skipstone.programs.observer import Observer

    observer = Observer()
    observer.start()
    try:
        yield
    except Exception as error:
        tell(error, observer)
        raise
    finally:
        observer.stop()


def tell(error: BaseException, observer: "Observer | None" = None) -> None:
    """Print the explanation of an error to stderr, if there is one. A fault of ours is told in one line as ours."""
    try:
        with waiting("looking at what the network was given"):
            text = explanation_text(error, observer)
        if text:
            say(text)
    except Exception as ours:  # noqa: BLE001 - the user's error has been told, and nothing of ours may stand in its way
        line = traceback.format_exception_only(ours)[-1].strip()
        say(f"skipstone: failed to explain this error, which is a fault of skipstone's own: {line}")


def _without_compiler() -> None:
    """The program is over: what it would have compiled is compiled no more, and to record is quicker without."""
    from skipstone.tracing.startup import postpone_dynamo

    postpone_dynamo()


def explanation_text(error: BaseException, observer: "Observer | None" = None) -> str:
    """The explanation of an error as text, "" where there is none. Loads the checker only now."""
    if words := advice(error):
        return f"skipstone: {words}"
    if "torch" not in sys.modules:
        return ""
    if observer is not None:
        explanation = observer.explain(error)
    else:
        from skipstone.programs.explanation import explain

        explanation = explain(error)
    return str(explanation) if explanation is not None else ""


def without_our_frames(error: BaseException, program: CodeType | None = None) -> None:
    """Take the watch's frames out of an error's traceback, and of its causes' ones, so that it reads as without us.

    With `program`, everything that stands above that code's own frame goes too.
    """
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        one = pending.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        pending += [one.__cause__, one.__context__]
        one.__traceback__ = _cleaned(_from(one.__traceback__, program))


def _from(place: TracebackType | None, program: CodeType | None) -> TracebackType | None:
    """The traceback from the program's own frame on; all of it where that has no part in it."""
    start = place
    while start is not None and start.tb_frame.f_code is not program:
        start = start.tb_next
    return start or place


def _cleaned(place: TracebackType | None) -> TracebackType | None:
    links = []
    while place is not None:
        if place.tb_frame.f_globals.get("__name__") != _WATCH:
            links.append(place)
        place = place.tb_next
    following = None
    for link in reversed(links):
        link.tb_next, following = following, link
    return following
