"""A unit as a Jupyter notebook, made from the unit's one file."""

import json

from skipstone.learn.unit import Unit


def notebook(unit: Unit) -> str:
    """The notebook's JSON (nbformat 4): the lesson with its picture, the exercise, the starter, the check."""
    picture = f"```text\n{unit.drawn()}\n```"
    check = f'import skipstone.learn\n\nskipstone.learn.check("{unit.name}", globals())'
    cells = [
        _cell("markdown", f"# {unit.name}: {unit.title}\n\n{unit.lesson}"),
        _cell("markdown", picture),
        _cell("markdown", f"## Exercise\n\n{unit.statement}"),
        _cell("code", unit.starter.rstrip()),
        _cell("code", check),
        *(
            _cell("markdown", f"<details><summary>hint {i}</summary>{hint}</details>")
            for i, hint in enumerate(unit.hints, 1)
        ),
    ]
    for number, cell in enumerate(cells):
        cell["id"] = f"{unit.name}-{number}"
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return json.dumps({"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}, indent=1) + "\n"


def _cell(kind: str, text: str) -> dict[str, object]:
    cell: dict[str, object] = {"cell_type": kind, "metadata": {}, "source": text.splitlines(keepends=True)}
    return cell | ({"execution_count": None, "outputs": []} if kind == "code" else {})
