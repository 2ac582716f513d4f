"""Jupyter and IPython: `%load_ext skipstone` puts the explanation of an error under the traceback of its cell.

`%%skipstone` does so for one cell alone.
"""

import traceback
from typing import Any

from skipstone.programs.observer import Observer

_loaded: dict[int, tuple[Observer, Any]] = {}  # by the shell's id: what watches it, and its own way to show errors


def load(shell: Any) -> None:
    """Explain errors of every cell from now on. `shell` is IPython's `InteractiveShell`."""
    shell.register_magic_function(lambda line, cell: _one_cell(shell, cell), "cell", "skipstone")
    if id(shell) in _loaded:
        return
    observer = Observer()
    observer.start()
    _loaded[id(shell)] = (observer, shell.showtraceback)
    shell.showtraceback = _Showing(shell, observer, shell.showtraceback)


def unload(shell: Any) -> None:
    """Errors are shown as before."""
    if id(shell) in _loaded:
        observer, shell.showtraceback = _loaded.pop(id(shell))
        observer.stop()


class _Showing:
    """Shows an error as the shell does, then its explanation."""

    def __init__(self, shell: Any, observer: Observer, before: Any) -> None:
        self._shell, self._observer, self._before = shell, observer, before

    def __call__(self, exc_tuple: Any = None, *args: Any, **kwargs: Any) -> Any:
        from skipstone.programs.hooks import without_our_frames

        error = exc_tuple[1] if exc_tuple else self._shell._get_exc_info()[1]
        if isinstance(error, BaseException):
            without_our_frames(error)
            exc_tuple = (type(error), error, error.__traceback__) if exc_tuple else None
        result = self._before(exc_tuple, *args, **kwargs)
        if isinstance(error, BaseException):
            _display(error, self._observer)
        self._observer.tell()
        return result


def _display(error: BaseException, observer: Observer) -> None:
    from IPython.display import display

    try:
        explanation = observer.explain(error)
        if explanation is not None:
            display(explanation)  # type: ignore[no-untyped-call]
    except Exception as ours:  # noqa: BLE001 - the cell's own error has been shown, and nothing of ours stands in its way
        print(
            f"skipstone: failed to explain this error, a fault of its own: {traceback.format_exception_only(ours)[-1]}"
        )


def _one_cell(shell: Any, cell: str) -> None:
    """`%%skipstone`: one cell explained."""
    known = id(shell) in _loaded
    load(shell)
    try:
        shell.run_cell(cell)
    finally:
        if not known:
            unload(shell)
