"""What the compared networks are before any training: drawn with their skips, and their bare gradient.

The bare gradient is that of the first step with normalisation left out and torch's default initialisation. Only
networks that have these as options (skipstone's own) can be asked for it; the gradient as trained is in every run's
`flow.jsonl`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from skipstone.core.codec import Json, decode, encode
from skipstone.core.drawing import Drawing, draw
from skipstone.core.errors import SkipstoneError
from skipstone.runs.flow import FlowRecord
from skipstone.runs.records import RunSpec, read_json

if TYPE_CHECKING:
    from skipstone.data import Splits

VERSION = 1
NETWORKS_FILE = "networks.json"
BARE = {"norm": "none", "init": "torch"}
"""The options that leave normalisation out and start from torch's default weights."""


@dataclass(frozen=True, slots=True)
class NetworkRecord:
    """A group's network. `drawing` is None where it could not be recorded, and `note` says why.

    `bare` holds the gradient of the first step for each of `seeds`, on the first `batch_size` training images; both are
    empty where the network has no options to leave normalisation out. `macs` are one image's multiply-adds, 0 where
    they are not known.
    """

    label: str
    drawing: Drawing | None = None
    note: str = ""
    seeds: tuple[int, ...] = ()
    bare: tuple[FlowRecord, ...] = ()
    batch_size: int = 0
    macs: int = 0


@dataclass(frozen=True, slots=True)
class Networks:
    """The networks of a comparison, in the order of its groups."""

    networks: tuple[NetworkRecord, ...]

    def to_dict(self) -> Json:
        return encode(self, version=VERSION)

    @classmethod
    def from_dict(cls, data: object, where: str = "") -> "Networks":
        return decode(cls, data, version=VERSION, where=where)


def read_networks(folder: str | Path) -> Networks:
    """The networks kept in a comparison's folder; none where none were recorded."""
    path = Path(folder) / NETWORKS_FILE
    return Networks.from_dict(read_json(path), str(path)) if path.is_file() else Networks(())


def inspect_network(label: str, specs: Sequence[RunSpec]) -> NetworkRecord:
    """Record the network of these specs, which differ in their seed alone. A network that can't be built is a note."""
    from skipstone.data import load

    spec = specs[0]
    with one_thread():
        try:
            splits = load(spec.data, spec.data_dir, val_fraction=spec.val_fraction, split_seed=spec.split_seed)
            drawing, macs = _drawing(label, spec, splits)
        except SkipstoneError as error:
            return NetworkRecord(label, note=str(error))
        if not _has_bare_form(spec):
            return NetworkRecord(label, drawing, macs=macs)
        bare = tuple(_bare_gradient(each, splits) for each in specs)
    return NetworkRecord(label, drawing, "", tuple(each.seed for each in specs), bare, spec.recipe.batch_size, macs)


@contextmanager
def one_thread() -> Iterator[None]:
    """As the runs have: the numbers then don't depend on the machine's cores, and small layers gain nothing by more."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _drawing(label: str, spec: RunSpec, splits: "Splits") -> tuple[Drawing, int]:
    """(the network drawn, the multiply-adds of one image)."""
    from skipstone.graphs.costs import cost
    from skipstone.skips import find_skips
    from skipstone.tracing import trace
    from skipstone.training import build_model

    graph = trace(build_model(spec, splits.shape, splits.num_classes, splits.label_shape), (2, *splits.shape))
    return draw(graph, find_skips(graph), label), cost(graph).macs // 2


def _has_bare_form(spec: RunSpec) -> bool:
    if not spec.model.startswith("skipstone:"):
        return False
    from skipstone.models.registry import options

    return options(spec.model.removeprefix("skipstone:")).keys() >= BARE.keys()


def _bare_gradient(spec: RunSpec, splits: "Splits") -> FlowRecord:
    import torch

    from skipstone.data import Pixels
    from skipstone.flow import gradient_flow
    from skipstone.training import build_model

    images = splits.train[: spec.recipe.batch_size]
    bare = replace(spec, options={**spec.options, **BARE})
    with torch.random.fork_rng():
        torch.manual_seed(spec.seed)
        model = build_model(bare, splits.shape, splits.num_classes, splits.label_shape)
        model.train()
        return gradient_flow(model, (Pixels.of(splits.train).normalise(images.pixels), images.labels))
