"""Write docs/zoo.md: what skipstone finds on public networks, beside what their own classes say is there.

    python tools/zoo.py                     every network, about ten minutes on one core
    python tools/zoo.py resnet vit --print  those whose names contain one of the words, to the terminal

Needs timm, torchvision, transformers and diffusers. No weights are fetched and nothing is computed.
"""

import argparse
import sys
import warnings
from collections import Counter
from importlib.metadata import version
from pathlib import Path

from zoo_networks import Network, networks
from zoo_truths import truth

import skipstone
from skipstone.core.skip import Skip
from skipstone.tracing import trace

PAGE = Path(__file__).parents[1] / "docs" / "zoo.md"
HEAD = """# Public networks: what is found on each

Every network below was built from its own constructor, without weights, and checked at the input its authors name. The
column *truth* counts skips from the network's own classes (a `BasicBlock` adds once, a transformer block twice, a flag
such as `use_res_connect` decides), never by looking for additions; it is empty where the classes do not say. *Found*
counts the skips of the kinds identity, projection, resample and norm; the other kinds are listed beside them.
*Findings* are errors / warnings / notes of `skipstone check`.

Written by `tools/zoo.py` with {versions}.

"""
NOTES = """
## Where truth and found differ, and what the warnings are

{differences}
"""
# Why a count differs from the classes', network by network: nothing here is left unexplained.
REASONS = {
    "timm:tnt_s_patch16_224": "the first block adds the pixel stream, through one linear layer, to patches that were "
    "themselves made from the pixels: a projection by its form, an injection by the authors' words",
}


def row(network: Network) -> tuple[list[str], str]:
    """The cells of a network's row, and a line of explanation where there is something to explain."""
    model, example = network.build()
    known = truth(model, trace(model, example))
    report = skipstone.check(model, example)
    found = sum(skip.is_block_skip for skip in report.skips)
    severities = Counter(finding.severity for finding in report.findings)
    findings = " / ".join(str(severities[name]) for name in ("error", "warning", "note"))
    number, how = (str(known[0]), known[1]) if known else ("", "")
    remarks = []
    if known and known[0] != found:
        remarks.append(
            f"found {found} where the classes say {number}: {REASONS.get(network.name, 'not yet explained')}"
        )
    remarks += [f"{f.code} {f.rule}: {f.message}" for f in report.findings if f.severity in ("error", "warning")]
    remark = f"- `{network.name}`: " + "; ".join(dict.fromkeys(remarks)) if remarks else ""
    return [f"`{network.name}`", number, how, str(found), kinds(report.skips), findings], remark


def kinds(skips: tuple[Skip, ...]) -> str:
    """`12 identity add, 4 projection add`."""
    counted = Counter(f"{skip.kind} {skip.merge}" for skip in skips if skip.kind != "trivial")
    return ", ".join(f"{number} {kind}" for kind, number in counted.most_common())


def summary(rows: list[list[str]]) -> str:
    """The table in two sentences."""
    known = [cells for cells in rows if cells[1]]
    equal = sum(cells[1] == cells[3] for cells in known)
    errors, warned, noted = (sum(int(cells[5].split(" / ")[i]) > 0 for cells in rows) for i in range(3))
    return (
        f"{len(rows)} networks; the truth is known for {len(known)} and found on {equal} of them. "
        f"{errors} networks have an error finding, {warned} a warning, {noted} a note.\n\n"
    )


def page(chosen: list[Network]) -> str:
    """The whole page; progress to stderr."""
    packages = ("torch", "torchvision", "timm", "transformers", "diffusers")
    text = HEAD.format(versions=", ".join(f"{name} {version(name)}" for name in packages))
    table = "| network | truth | counted from | found | by kind and merge | findings |\n|---|---|---|---|---|---|\n"
    rows, remarks = [], []
    for network in chosen:
        cells, remark = row(network)
        print(" ".join(cells), file=sys.stderr, flush=True)
        table += f"| {' | '.join(cells)} |\n"
        rows.append(cells)
        remarks.append(remark)
    return (
        text + summary(rows) + table + NOTES.format(differences="\n".join(filter(None, remarks)) or "There are none.")
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("words", nargs="*", help="only networks whose names contain one of these")
    parser.add_argument("--print", action="store_true", help="to the terminal instead of docs/zoo.md")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    chosen = [n for n in networks() if not options.words or any(word in n.name for word in options.words)]
    text = page(chosen)
    if options.print or options.words:
        print(text)
    else:
        PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
