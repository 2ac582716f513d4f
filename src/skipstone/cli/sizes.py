"""skipstone sizes: the exact legal input sizes of a network."""

import json
import re
from typing import Annotated, Any

from cyclopts import Parameter

from skipstone.cli import arguments, output, prepare_to_record
from skipstone.core.errors import SkipstoneError

_PATTERN = (
    "A shape with letters for its free axes: 3xHxW (a batch of 2 is added), N,3,H,W with the batch, 3xHxH for square "
    "inputs, 2,T:int64 with a dtype. Give it once for each input."
)


def run(
    target: arguments.Target,
    /,
    *,
    input: Annotated[
        tuple[str, ...], Parameter(name=["--input", "-i"], consume_multiple=False, help=_PATTERN, negative="")
    ],
    range: Annotated[tuple[str, ...], Parameter(name="--range", consume_multiple=False)] = (),
    mode: arguments.Mode = "train",
    seconds: float = 30.0,
    format: arguments.TextOrJson = "text",
) -> int:
    """Tell the exact legal input sizes of a network.

    A size is legal when the forward pass raises nothing and no merge rests on an accidental broadcast; sizes that run
    only by one are listed apart. Torch's own shape rules decide, and a run at the smallest sizes where it is cheap.

    Parameters
    ----------
    range
        The sizes in question as FIRST:END, END left out, for every free axis; or H=FIRST:END for one. 1:513 if none is
        given.
    seconds
        Leave out the sizes not reached within so many seconds of a slow core, reckoned by the operations recorded.
    """
    from skipstone.models.target import outline
    from skipstone.sizes import legal_sizes, parse_pattern_text

    patterns = tuple(map(parse_pattern_text, input))
    letters = dict.fromkeys(axis for pattern in patterns for axis in pattern if isinstance(axis, str))
    prepare_to_record()
    model = outline(target)
    with output.aside():
        report = legal_sizes(model, patterns, mode=mode, seconds=seconds, **_ranges(range, letters))
    if format == "json":
        print(json.dumps(report.to_dict()))
    else:
        output.console().print(str(report))
    return 0 if report.legal else 1


def _ranges(texts: tuple[str, ...], letters: dict[str, None]) -> dict[str, Any]:
    """`1:513` for all letters, then `h=1:4097` for one."""
    found: dict[str, Any] = {}
    for text in sorted(texts, key=lambda t: "=" in t):
        match = re.fullmatch(r"(?:(\w+)=)?([0-9]{1,18}):([0-9]{1,18})", text)
        if not match or int(match[2]) >= int(match[3]):
            raise SkipstoneError(f"range {text!r} is not understood; write FIRST:END, such as 1:513, or H=1:513")
        sizes = _builtin_range(int(match[2]), int(match[3]))
        found |= {match[1].lower(): sizes} if match[1] else dict.fromkeys(letters, sizes)
    return found


_builtin_range = range
