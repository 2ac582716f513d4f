"""`skipstone diff net.py:Net --revision HEAD~1 --input 3x32x32`."""

import json
from typing import Annotated

from cyclopts import Parameter

from skipstone.cli import arguments, output, prepare_to_record
from skipstone.core.errors import SkipstoneError, printable


def run(
    before: arguments.Target,
    after: Annotated[
        str | None, Parameter(help="The other network; without it, the first one as it is now (for --revision).")
    ] = None,
    /,
    *,
    input: arguments.Inputs,
    revision: str | None = None,
    format: arguments.TextOrJson = "text",
    strict: bool = False,
) -> int:
    """Tell which skip connections were gained, lost, moved or changed between two networks.

    With --revision the first network is read from that git revision of its file. Exit status: 0 no skip was lost, 1 one
    was lost (with --strict: anything changed), 2 could not run.

    Parameters
    ----------
    revision
        A git revision, such as HEAD~1 or main, from which the file of the first network is read.
    strict
        Any difference counts, not only lost skips.
    """
    from skipstone import surgery
    from skipstone.integrations.revisions import network_of_revision
    from skipstone.models.target import outline
    from skipstone.tracing import trace

    if after is None and revision is None:
        raise SkipstoneError("give a second network to compare with, or --revision for the first one's past")
    example = arguments.examples(before if revision is None else after or before, input)
    prepare_to_record()
    with output.aside():
        old, folder = (outline(before), "") if revision is None else network_of_revision(before, revision)
        graphs = [trace(model, example) for model in (old, outline(before if after is None else after))]
    if stopped := next((graph.stopped for graph in graphs if graph.stopped), None):
        raise SkipstoneError(f"skips cannot be compared, a network does not run to its end: {stopped}")
    result = surgery.diff(*graphs)
    text = json.dumps(result.to_dict(), indent=1) if format == "json" else str(result)
    print(printable(text.replace(f"{folder}/", f"{revision}:") if folder else text))
    return int(not result.equal if strict else bool(result.lost))
