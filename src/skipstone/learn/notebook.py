"""The same exercises in a notebook: `skipstone.learn.check("wire-2", globals())`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from skipstone.learn.gather import gather
from skipstone.learn.judging import judge_facts, judge_source
from skipstone.learn.submission import Facts
from skipstone.learn.unit import load
from skipstone.learn.verdict import Verdict


def check(unit: str, answer: object) -> Verdict:
    """Judge an answer that lives in this notebook or program.

    Args:
        unit: a unit's name, `"shapes-1"`.
        answer: what the unit asks for, by name: a dict such as `{"shapes": {...}}` or `globals()`; or the one thing it
            asks for first, as it is; or a file's `Path`, which is run behind the walls, as by `skipstone learn check`.

    Values and networks are judged as in a file, on what they are made of and never on their text. The code itself has
    run here already, in your own process, behind no wall; nothing is written down.

    Raises:
        UnknownNameError: there is no such unit.
    """
    found = load(unit)
    if isinstance(answer, Path):
        return judge_source(found, answer.read_bytes())
    names = {ask.name for ask in found.asks}
    bound = answer if isinstance(answer, Mapping) and names & set(answer) else {found.asks[0].name: answer}
    rows: list[dict[str, Any]] = []
    gather(bound, None, found.asks, rows.append)
    # Through JSON, as from another process: what is judged is data, and nothing of the answer's own takes part in it.
    rows = json.loads(json.dumps(rows))
    verdict = judge_facts(found, Facts({row["ask"]: row for row in rows}))
    return Verdict(verdict.unit, "", tuple(verdict.points), score=verdict.score)
