"""The public collections a target can name: `timm:`, `torchvision:` and our own `skipstone:`.

Neither timm nor torchvision is needed by skipstone; where one is missing the target says so.
"""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType

from skipstone.core.errors import UnknownNameError
from skipstone.models.importing import TargetError, import_named

_NMS = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
# What torchvision's constructors need to be told, by the start of a network's name: not to fetch a backbone's weights,
# and (they warn otherwise) to initialise their own.
_FETCHES = ("deeplabv3", "fcn", "lraspp", "fasterrcnn", "fcos", "keypointrcnn", "maskrcnn", "retinanet", "ssd")
_ASKS = ("googlenet", "inception")


def zoo_builder(zoo: str, name: str, target: str) -> Callable[..., object]:
    """The function that builds `name` of `zoo`, without trained weights; `TargetError` with the nearest names."""
    return ZOOS[zoo](name, target)


def _skipstone(name: str, target: str) -> Callable[..., object]:
    from skipstone.models.registry import create, family_of

    family_of(name)
    return lambda **options: create(name, **options)


def _timm(name: str, target: str) -> Callable[..., object]:
    import_torchvision(target)
    timm = import_named("timm", target)
    if not timm.is_model(name.partition(".")[0]):
        raise TargetError(f"target {target!r}: {UnknownNameError('timm network', name, timm.list_models())}")
    return lambda **options: timm.create_model(name, **options)


def _torchvision(name: str, target: str) -> Callable[..., object]:
    import_torchvision(target)
    models = import_module("torchvision.models")
    if name not in models.list_models():
        unknown = UnknownNameError("torchvision network", name, models.list_models())
        raise TargetError(f"target {target!r}: {unknown}")
    quietly: dict[str, object] = {"weights": None}
    if name.startswith(_FETCHES):
        quietly["weights_backbone"] = None
    if name.startswith(_ASKS):
        quietly["init_weights"] = True
    return lambda **options: models.get_model(name, **{**quietly, **options})


def import_torchvision(target: str) -> ModuleType:
    """The torchvision package.

    Beside a torch without its compiled operators (a CPU build) it cannot be imported until the two operators it looks
    up while importing are declared; no classification or segmentation network calls them.
    """
    import torch

    try:
        return import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise TargetError(f"target {target!r}: importing torchvision raised {error}") from error
    except ModuleNotFoundError as error:
        raise TargetError(f"target {target!r}: torchvision is not installed; pip install torchvision") from error
    for module in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[module]
    for operator in ("nms", "qnms"):
        torch.library.define(f"torchvision::{operator}", _NMS)
    return import_named("torchvision", target)


ZOOS: Mapping[str, Callable[[str, str], Callable[..., object]]] = {
    "skipstone": _skipstone,
    "timm": _timm,
    "torchvision": _torchvision,
}
