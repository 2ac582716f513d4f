"""Unified diffs written into the files they are for."""

import subprocess
from collections.abc import Iterable
from pathlib import Path

from skipstone.core.errors import SkipstoneError


class PatchError(SkipstoneError):
    """A diff that does not fit its file any more."""


def apply_diffs(diffs: Iterable[str]) -> list[str]:
    """Apply each diff in the working folder with `git apply`, all hunks of one diff or none; the files changed."""
    changed: list[str] = []
    for diff in diffs:
        done = subprocess.run(["git", "apply", "--unidiff-zero", "-p0", "-"], input=diff, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise PatchError(f"the repair does not apply any more: {done.stderr.strip()}")
        changed += [line.removeprefix("+++ ").split("\t")[0] for line in diff.splitlines() if line.startswith("+++ ")]
    return [str(Path(name)) for name in dict.fromkeys(changed)]
