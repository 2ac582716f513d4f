"""PyTorch Geometric: networks on a small graph of ten nodes.

The truth was written from the classes before the finder was asked. Left out is what the classes do not decide: layers
that add one linear map of a node to one of its neighbours (GraphSAGE), and readouts over all layers.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from torch import nn

from skipstone.models.zoos import import_torchvision
from zoo.network import Family, Inputs, Network

_WIDTHS: dict[str, Any] = {"in_channels": 8, "hidden_channels": 8, "num_layers": 3, "out_channels": 4}


def _graph() -> Inputs:
    ring = torch.arange(10)
    there = torch.stack((ring, (ring + 1) % 10))
    edges = torch.cat((there, there.flip(0), torch.stack((ring, (ring + 3) % 10))), 1)
    return torch.rand(10, 8, generator=torch.Generator().manual_seed(0)), edges


def _nn() -> Any:
    import_torchvision("torch_geometric")
    return import_module("torch_geometric.nn")


def _model(name: str, **settings: Any) -> Network:
    return Network(name, lambda: getattr(_nn(), name)(**{**_WIDTHS, **settings}), _graph)  # type: ignore[no-any-return]


def _stack(name: str, layer: Callable[[Any], nn.Module], call: str = "x, edge_index -> x", times: int = 3) -> Network:
    """PyG's own `Sequential`: a linear layer, whose result is `x0`, and the layer several times."""

    def build() -> nn.Module:
        pyg = _nn()
        first: list[Any] = [(nn.Linear(8, 8), "x -> x"), (nn.Identity(), "x -> x0")]
        model: nn.Module = pyg.Sequential("x, edge_index", [*first, *((layer(pyg), call) for _ in range(times))])
        return model

    return Network(name, build, _graph)


def _deep(block: str) -> Callable[[Any], nn.Module]:
    def layer(pyg: Any) -> nn.Module:
        made: nn.Module = pyg.DeepGCNLayer(pyg.GCNConv(8, 8), nn.LayerNorm(8), nn.ReLU(), block=block)
        return made

    return layer


def _gin(pyg: Any) -> nn.Module:
    made: nn.Module = pyg.GINConv(nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8)))
    return made


def _gps(conv: Callable[[Any], nn.Module]) -> Callable[[Any], nn.Module]:
    return lambda pyg: pyg.GPSConv(8, conv(pyg), heads=2)  # type: ignore[no-any-return]


def _initial(shared: bool) -> Callable[[Any], nn.Module]:
    return lambda pyg: pyg.GCN2Conv(8, alpha=0.1, theta=0.5, layer=1, shared_weights=shared)  # type: ignore[no-any-return]


NETWORKS = (
    _model("GCN"),
    _model("GAT", heads=2),
    _model("GIN"),
    _stack("DeepGCN res+", _deep("res+")),
    _stack("DeepGCN res", _deep("res")),
    _stack("DeepGCN plain", _deep("plain")),
    _stack("GINConv", _gin),
    _stack("GCNII", _initial(True), "x, x0, edge_index -> x"),
    _stack("APPNP", lambda pyg: pyg.APPNP(K=3, alpha=0.1), times=1),
    _stack("GPS", _gps(lambda pyg: pyg.GCNConv(8, 8))),
    _stack("GPS of GIN", _gps(_gin), times=2),
    Network("GraphUNet", lambda: _nn().GraphUNet(8, 8, 4, depth=2), _graph),
)
_ADDS = {
    "GINConv": 1, "DeepGCNLayer": lambda layer: int(layer.block in ("res+", "res", "dense")),
    "GCN2Conv": 2,  # the first layer's features, and the identity beside the weight, in one `addmm` (2007.02133)
    "APPNP": lambda layer: int(layer.K), "GPSConv": 3, "GraphUNet": lambda net: int(net.depth),
}  # fmt: skip
FAMILY = Family(
    "torch_geometric",
    NETWORKS,
    {"": _ADDS},
    differs={
        "GCNII": "the identity beside the weight stands in one `addmm(x, x, W)`, of which the product is no tensor of "
        "its own and is not told apart",
        "GPS of GIN": "the sum of the local and the global half is counted too: attention is one layer beside the two "
        "of the local half, a projection by its form, one of two halves by the authors' words",
        "GraphUNet": "the square of the adjacency is a sparse matrix in rows, of which torch makes no fake tensor: the "
        "record stops there and says so",
    },
)
