"""`skipstone diff net.py:Net net.py:Net --before HEAD~1 --input 3x32x32`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from skipstone.core.errors import SkipstoneError

if TYPE_CHECKING:
    from torch import nn


def run(
    before: str,
    after: str | None = None,
    /,
    *,
    input: Annotated[tuple[str, ...], Parameter(name=["--input", "-i"], consume_multiple=False)],
    revision: str | None = None,
    format: Annotated[Literal["text", "json"], Parameter(name=["--format", "-f"])] = "text",
    strict: bool = False,
) -> int:
    """Tell which skip connections were gained, lost, moved or changed between two networks.

    With --revision the first network is read from that git revision of its file. Exit status: 0 no skip was lost, 1 one
    was lost (with --strict: anything changed), 2 could not run.

    Parameters
    ----------
    before
        file.py:Name, file.py:factory(64, 128), package.module:Name, timm:NAME, torchvision:NAME, skipstone:NAME.
    after
        The other network; without it, the first one as it is now (for --revision).
    input
        One example input for both: 3x32x32 (a batch of 2 is added), 2,3,32,32 (with the batch), 2,16:int64.
    revision
        A git revision, such as HEAD~1 or main, from which the file of the first network is read.
    format
        text or json.
    strict
        Any difference counts, not only lost skips.
    """
    from skipstone import surgery
    from skipstone.models.target import outline
    from skipstone.tracing import parse_input_text, trace

    if after is None and revision is None:
        raise SkipstoneError("give a second network to compare with, or --revision for the first one's past")
    example = tuple(map(parse_input_text, input))
    old, folder = (outline(before), "") if revision is None else _of_revision(before, revision)
    graphs = [trace(model, example) for model in (old, outline(after or before))]
    result = surgery.diff(*graphs)
    text = json.dumps(result.to_dict(), indent=1) if format == "json" else str(result)
    print(text.replace(f"{folder}/", f"{revision}:") if folder else text)
    return int(not result.equal if strict else bool(result.lost))


def _of_revision(target: str, revision: str) -> tuple["nn.Module", str]:
    """The network of a file as a git revision has it, and the folder it was read in, which is gone by then.

    What the file imports from beside it is of that revision too.
    """
    import subprocess
    import tempfile

    from skipstone.models.target import outline, parse_target

    where = parse_target(target).where
    path = Path(where)
    if path.suffix != ".py" or not path.is_file():
        raise SkipstoneError(f"--revision reads a file's past, and {where!r} is no file")
    listing = ["git", "archive", "--format=tar", revision, "."]
    with tempfile.TemporaryDirectory() as folder:
        try:
            archive = subprocess.run(listing, cwd=path.resolve().parent, check=True, capture_output=True).stdout
            subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            said = getattr(error, "stderr", b"") or str(error).encode()
            raise SkipstoneError(
                f"git cannot read revision {revision!r} of {where}: {said.decode().strip()}"
            ) from error
        if not (Path(folder) / path.name).is_file():
            raise SkipstoneError(f"revision {revision!r} has no file {where}")
        return outline(target.replace(where, str(Path(folder) / path.name), 1)), folder
