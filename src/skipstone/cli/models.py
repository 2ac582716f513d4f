"""skipstone models: the reference networks, their options and what they cost."""

import json
import sys
from fnmatch import fnmatchcase
from inspect import cleandoc

from skipstone.cli import arguments, output
from skipstone.core.errors import UnknownNameError
from skipstone.models import Family, families, family_of, names


def run(*network: str, costs: bool = False, format: arguments.TextOrJson = "text") -> int:
    """List the reference networks, or show one with its options.

    Without --costs nothing is built. With it each network is recorded for one example of its family's shape:
    parameters, multiply-adds of convolutions and linear layers without bias, and the bytes that its activations occupy.

    Parameters
    ----------
    network
        Names, or patterns such as 'resnet*'; a name may carry options, as in 'resnet20(shortcut="B")'. All if none is
        given.
    costs
        Count parameters, multiply-adds and activation bytes. Networks of a thousand layers take seconds.
    """
    chosen = _chosen(network)
    if costs:
        rows = [_costs(name) for name in chosen]
        _print_json(rows) if format == "json" else _print_costs(rows)
    elif format == "json":
        _print_json([_entry(name) for name in chosen])
    elif len(chosen) == 1 and network:
        _print_page(chosen[0])
    else:
        _print_list(chosen)
    return 0


def _chosen(patterns: tuple[str, ...]) -> list[str]:
    if not patterns:
        return list(names())
    chosen: list[str] = []
    for pattern in patterns:
        if any(c in pattern for c in "*?["):
            found = [name for name in names() if fnmatchcase(name, pattern)]
            if not found:
                raise UnknownNameError("network", pattern, names())
            chosen += found
        else:
            family_of(pattern.partition("(")[0])
            chosen.append(pattern)
    return list(dict.fromkeys(chosen))


def _entry(name: str) -> dict[str, object]:
    family = family_of(name.partition("(")[0])
    return {
        "name": name,
        "family": family.form,
        "summary": family.summary,
        "paper": family.paper,
        "input_shape": list(family.input_shape),
    }


def _costs(name: str) -> dict[str, object]:
    from skipstone.models.counting import costs
    from skipstone.models.target import parse_target

    target = parse_target(f"skipstone:{name}")
    print(f"counting {name} ...", file=sys.stderr)
    total = costs(target.name, **target.kwargs)  # type: ignore[arg-type]  # a wrong option is refused by name
    return {
        **_entry(name),
        "num_parameters": total.num_parameters,
        "macs": total.macs,
        "activation_bytes": total.activation_bytes,
    }


def _print_json(rows: list[dict[str, object]]) -> None:
    print(json.dumps(rows, indent=1))


def _print_costs(rows: list[dict[str, object]]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("network", "input", "parameters", "multiply-adds", "activation bytes"):
        table.add_column(heading, justify="left" if heading in ("network", "input") else "right", no_wrap=True)
    for row in rows:
        numbers = (f"{row[key]:,}" for key in ("num_parameters", "macs", "activation_bytes"))
        table.add_row(str(row["name"]), _shape(row["input_shape"]), *numbers)
    output.table_console().print(table)


def _shape(sizes: object) -> str:
    assert isinstance(sizes, list)
    return "x".join(map(str, sizes))


def _print_list(chosen: list[str]) -> None:
    listed: dict[str, tuple[Family, list[str]]] = {}
    for name in chosen:
        family = family_of(name.partition("(")[0])
        listed.setdefault(family.form, (family, []))[1].append(name)
    for form, (family, members) in listed.items():
        print(form)
        print(f"    {family.summary}{f' ({family.paper})' if family.paper else ''}")
        print(f"    {' '.join(members)}")
    if len(listed) == len(families()):
        print("\nOther depths and widths by the same forms; 'skipstone models NAME' shows a network's options.")


def _print_page(name: str) -> None:
    from skipstone.models.registry import builder_of, options

    bare = name.partition("(")[0]
    family = family_of(bare)
    print(f"{bare}    {family.summary}")
    if family.paper:
        print(f"paper    {family.paper}")
    print(f"input    {_shape(list(family.input_shape))}")
    print(f"\n{cleandoc(builder_of(bare).__doc__ or '')}\n")
    print("options")
    for option, default in options(bare).items():
        print(f"    {option} = {default!r}")
