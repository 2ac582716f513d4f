"""The figure of docs/flow.md: the gradient's norm by depth, of plain, residual and dense networks of 56 layers.

    python benchmarks/flow_figure.py docs/flow.svg

One batch of 64 handwritten digits, cross-entropy, before the first step; with batch norm and He initialisation, and
without norm and with torch's own initialisation. Seed 0, one pass each.
"""

import sys
from pathlib import Path

import torch

from skipstone.data import Pixels, load
from skipstone.flow import gradient_flow
from skipstone.models import create
from skipstone.runs.flow.drawing import Line, flow_svg

KINDS = {"plain": "plain56", "residual": "resnet56", "dense": "dense56"}
CONDITIONS = {
    "batch norm, He initialisation": {},
    "no norm, PyTorch's default initialisation": {"norm": "none", "init": "torch"},
}


def main(path: str) -> None:
    train = load("digits").train
    batch = Pixels.of(train).normalise(train.pixels[:64]), train.labels[:64]
    panels = []
    for title, options in CONDITIONS.items():
        lines = []
        for label, name in KINDS.items():
            torch.manual_seed(0)
            record = gradient_flow(create(name, in_channels=1, width=8, **options), batch)
            lines.append(Line.of(label, record))
            print(
                f"{title}, {name}: {lines[-1].norms[0]:.2g} at the first layer, {lines[-1].norms[-1]:.2g} at the last"
            )
            print(f"  {record.verdicts[0]}")
        panels.append((title, lines))
    Path(path).write_text(flow_svg(panels), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "docs/flow.svg")
