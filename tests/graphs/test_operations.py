"""The table of operations is the one place that knows them, and its rows are sound."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

import skipstone
from skipstone.graphs import axes, costs
from skipstone.graphs.operations import OPERATIONS, _rows, canonical, names, operation

SOURCE = Path(skipstone.__file__).parent
# What may list operations elsewhere without a comment of its own, and why. `file: (longest list, reason)`.
ELSEWHERE = {
    "core/drawing.py": (10, "what a row of a drawing shows; core stands below the table"),
    "core/skip.py": (5, "the kinds of merges, by their own names"),
    "core/edit.py": (4, "the kinds of merges, by their own names"),
    "cli/connect.py": (4, "the kinds of merges, by their own names"),
    "sizes/known.py": (8, "functions written for these very operations"),
    "surgery/live/handlers.py": (11, "what is left of two terms, each its own"),
    "surgery/plans/channels.py": (4, "what a narrowed axis passes, each by its own rule"),
    "surgery/proof.py": (4, "what keeps a value to the bit, whatever memory it has"),
    "checks/failures.py": (6, "a verb for each"),
    "checks/probes/random_in_evaluation.py": (18, "how masks are made of random numbers"),
    "checks/probes/refused_in_run.py": (10, "what torch's kernels refuse for the values they get"),
    "execution/inputs.py": (25, "how large a value each leaves, for inputs that are drawn"),
    "execution/values.py": (10, "what takes whole numbers for positions"),
    "execution/planning.py": (9, "stems of the names of what draws"),
    "flow/reuse.py": (4, "what keeps channels apart, the second half of a list that says so"),
    "learn/replay.py": (11, "what is run again, each by a function of its own"),
    "learn/units/network_7.py": (5, "the names of dropout that an exercise asks for"),
}


def lists_of_operations(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line, names) of each literal collection or text of words most of which are operations, without a comment."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    for statement in ast.walk(ast.parse(text)):
        if not isinstance(statement, ast.stmt) or isinstance(statement, ast.FunctionDef | ast.ClassDef):
            continue
        said = lines[statement.lineno - 2].lstrip().startswith("#") or "  # " in lines[statement.lineno - 1]
        for node in ast.walk(statement) if not said else ():
            found = _names_in(node)
            known = [name for name in found if name in OPERATIONS]
            if len(known) >= 4 and 2 * len(known) > len(found):
                yield getattr(node, "lineno", statement.lineno), found


def _names_in(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Set | ast.Tuple | ast.List):
        return [e.value for e in node.elts if isinstance(e, ast.Constant) and isinstance(e.value, str)]
    if isinstance(node, ast.Dict):
        return [e.value for e in node.keys if isinstance(e, ast.Constant) and isinstance(e.value, str)]
    return node.value.split() if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


def test_no_other_place_lists_operations() -> None:
    strays = []
    for path in sorted(SOURCE.rglob("*.py")):
        name = path.relative_to(SOURCE).as_posix()
        most, _ = ELSEWHERE.get(name, (3, ""))
        if not name.startswith(("graphs/", "blocks/", "models/")):
            strays += [f"{name}:{line}: {found}" for line, found in lists_of_operations(path) if len(found) > most]
    assert strays == [], "ask graphs.operations by role instead, or say in a comment above why not"


def test_a_list_of_operations_is_noticed(tmp_path: Path) -> None:
    stray = tmp_path / "stray.py"
    stray.write_text(
        'A = frozenset(["relu", "gelu", "silu", "elu"])\nB = ("add", "mul")\nC = "view reshape flatten t".split()\n'
    )
    assert [line for line, _ in lists_of_operations(stray)] == [1, 3]


def test_every_rule_that_a_row_names_exists_and_is_named() -> None:
    assert {row.axes for row in OPERATIONS.values()} | {""} == set(axes._RULES)
    assert {row.macs for row in OPERATIONS.values()} | {""} == set(costs._MACS)


def test_an_unknown_role_is_refused() -> None:
    with pytest.raises(ValueError, match="no such role: nrom"):
        list(_rows("batch_norm", "nrom"))


def test_names_are_torchs_own() -> None:
    """Each row is what `canonical` makes of some function of torch; the exceptions are what records call otherwise."""
    spaces = (torch, F, torch.Tensor, torch._C._VariableFunctions, torch.special, torch.linalg)
    found = {canonical(name) for space in spaces for name in dir(space)} | {f"fft_{name}" for name in dir(torch.fft)}
    own = {
        "getitem", "setitem", "alias", "rsub", "lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell",
        "linalg_vector_norm", "transformer_encoder_layer_fwd",
    }  # fmt: skip
    assert set(OPERATIONS) - found - own == set()


def test_arguments_are_torchs_own() -> None:
    x = torch.zeros(1, 2, 4, 4)
    weight = torch.zeros(2, 2, 3, 3)
    values = {"input": x, "weight": weight, "bias": None, "stride": 1, "padding": 1, "dilation": 1, "groups": 1}
    assert F.conv2d(**{name: values[name] for name in operation("conv2d").arguments}).shape == x.shape
    assert torch.transpose(**dict(zip(operation("transpose").arguments, (x, 0, 1), strict=True))).shape == (2, 1, 4, 4)
    assert torch.movedim(**dict(zip(operation("movedim").arguments, (x, 0, 1), strict=True))).shape == (2, 1, 4, 4)
    index = torch.zeros(1, dtype=torch.int64)
    assert torch.index_select(**dict(zip(operation("index_select").arguments, (x, 1, index), strict=True))).shape == (
        1,
        1,
        4,
        4,
    )


def test_roles_are_sets_of_names() -> None:
    assert names("conv") < names("layer")
    assert names("average pool") < names("pool") < names("resample")
    assert names("same") < names("transparent")
    assert names("sum") < names("arithmetic") < names("broadcasting")
    assert operation("no such operation").roles == frozenset()
