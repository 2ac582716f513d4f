"""A network as a git revision of its file has it."""

import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from skipstone.core.errors import SkipstoneError
from skipstone.models.target import outline, parse_target

if TYPE_CHECKING:
    from torch import nn


def network_of_revision(target: str, revision: str) -> tuple["nn.Module", str]:
    """The network, and the folder it was read in, which is gone by then.

    What the file imports from beside it is of that revision too.

    Raises:
        SkipstoneError: the target is no file, or git has no such revision or no such file in it.
    """
    where = parse_target(target).where
    path = Path(where)
    if path.suffix != ".py" or not path.is_file():
        raise SkipstoneError(f"--revision reads a file's past, and {where!r} is no file")
    with tempfile.TemporaryDirectory() as folder:
        archive = _git(path, revision, "archive", "--format=tar", _commit(path, revision), "--", ".")
        _run(["tar", "-x", "-C", folder], path, revision, archive)
        if not (Path(folder) / path.name).is_file():
            raise SkipstoneError(f"revision {revision!r} has no file {where}")
        return outline(target.replace(where, str(Path(folder) / path.name), 1)), folder


def _commit(path: Path, revision: str) -> str:
    """The revision's commit by its hash, which unlike what is typed can't be taken for an option."""
    if "\0" in revision:
        raise SkipstoneError(f"revision {revision!r} holds a NUL, which no name in git does")
    if revision.startswith("-"):
        raise SkipstoneError(f"revision {revision!r} begins with a dash; give a commit, branch or tag such as HEAD~1")
    named = _git(path, revision, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    return named.decode().split()[-1]


def _git(path: Path, revision: str, *arguments: str) -> bytes:
    return _run(["git", *arguments], path, revision)


def _run(command: list[str], path: Path, revision: str, given: bytes | None = None) -> bytes:
    try:
        done = subprocess.run(command, cwd=path.resolve().parent, check=True, capture_output=True, input=given)
    except (OSError, subprocess.CalledProcessError) as error:
        said = (getattr(error, "stderr", None) or b"").decode(errors="replace").strip() or "there is no such commit"
        why = said if isinstance(error, subprocess.CalledProcessError) else str(error)
        raise SkipstoneError(f"git cannot read revision {revision!r} of {path}: {' '.join(why.split())}") from error
    return done.stdout
