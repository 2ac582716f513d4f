"""Skip never taken: no block of this network meets the condition under which its class adds the shortcut.

What it finds:
    A class with several blocks whose forward adds its input only under a condition on widths and strides
    (`stride == 1 and inp == oup`), which holds for none of them, in a network that has no skip connection at all. A
    plain switch that was set to off is the user's own choice and left alone.
Why it matters:
    The network is called residual and is a plain one; nothing else tells.
Example:
    MobileNetV2's block in a configuration that changes the width in every block.
Repair:
    Equal widths at stride 1 where a skip is wanted, or a 1x1 projection on the shortcut.
Effect of the repair:
    Equal widths change the layers; a projection adds its weights.
References:
    Sandler et al. 2018, MobileNetV2, 1801.04381, section 3.3 and figure 4d.
"""

import ast
from collections.abc import Iterator

from torch import nn

from skipstone.checks.rule import Fault, Rule, Where
from skipstone.checks.source import covers, method, place_of
from skipstone.checks.subject import Subject
from skipstone.core.graph import Place

RULE = Rule("SK212", "skip-never-taken", "warning", "no block meets the condition under which its skip is added")
_ADDS = frozenset(("add", "add_", "cat", "concat"))


def check(subject: Subject) -> Iterator[Fault]:
    if any(skip.is_block_skip for skip in subject.skips) or subject.graph.failures or subject.graph.stopped:
        return
    for kind, paths in _blocks(subject).items():
        condition = _conditional_skip(kind) if len(paths) > 1 else None
        if condition is None or any(covers(condition[1], node.place) for node in subject.graph):
            continue
        text, place = condition
        message = f"the skip of {kind.__name__} is never taken: `{text}` holds in none of its {len(paths)} blocks"
        first = min(index for index, node in enumerate(subject.graph) if _inside(node.module, paths[0]))
        yield Fault(Where(first, paths[0], place), message)


def _inside(path: str, block: str) -> bool:
    return path == block or path.startswith(f"{block}.") or not block


def _blocks(subject: Subject) -> dict[type[nn.Module], list[str]]:
    """The classes of the user's own modules that ran, with their paths in the order of the forward pass."""
    found: dict[type[nn.Module], list[str]] = {}
    for call in subject.graph.calls:
        kind = type(subject.module_at(call.path))
        if not kind.__module__.startswith("torch.") and call.path not in found.setdefault(kind, []):
            found[kind].append(call.path)
    return found


def _conditional_skip(kind: type[nn.Module]) -> tuple[str, Place] | None:
    """The condition's text and the place of the addition that it guards, if it compares sizes."""
    forward = method(kind, "forward")
    if forward is None:
        return None
    values = {argument.arg for argument in forward.args.args[1:]}
    for node in ast.walk(forward):
        if not isinstance(node, ast.If | ast.IfExp):
            continue
        text = _compared(kind, node.test)
        bodies = node.body if isinstance(node.body, list) else [node.body]
        addition = next((a for body in bodies for a in ast.walk(body) if _adds(a, values)), None)
        if text is not None and isinstance(addition, ast.expr | ast.stmt):
            return text, place_of(kind, "forward", addition)
    return None


def _adds(node: ast.AST, values: set[str]) -> bool:
    """Is it a merge with one of the forward's own arguments?"""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        operands: list[ast.expr] = [node.left, node.right]
    elif isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add):
        operands = [node.value]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _ADDS:
        operands = [*node.args, *(e for a in node.args if isinstance(a, ast.List | ast.Tuple) for e in a.elts)]
    else:
        return False
    return any(isinstance(operand, ast.Name) and operand.id in values for operand in operands)


def _compared(kind: type[nn.Module], test: ast.expr) -> str | None:
    """The comparison of sizes behind a condition: in the test itself, or where `__init__` sets the flag it reads."""
    if _compares_sizes(test):
        return ast.unparse(test)
    if not isinstance(test, ast.Attribute):
        return None
    init = method(kind, "__init__")
    for node in ast.walk(init) if init is not None else ():
        if isinstance(node, ast.Assign) and any(
            isinstance(t, ast.Attribute) and t.attr == test.attr for t in node.targets
        ):
            return ast.unparse(node.value) if _compares_sizes(node.value) else None
    return None


def _compares_sizes(node: ast.expr) -> bool:
    return any(
        isinstance(part, ast.Compare)
        and all(isinstance(op, ast.Eq) for op in part.ops)
        and not any(isinstance(side, ast.Constant) for side in (part.left, *part.comparators))
        for part in ast.walk(node)
    )
