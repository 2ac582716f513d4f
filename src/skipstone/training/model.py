"""The network a run trains: built from its target, and asked whether it fits the data before the first step."""

from collections.abc import Callable

import torch
from torch import nn

from skipstone import surgery
from skipstone.checks import check
from skipstone.core.errors import InternalError, SkipstoneError
from skipstone.models.importing import ctrl_c, one_line
from skipstone.models.target import parse_target, resolve
from skipstone.runs.records import RunSpec
from skipstone.runs.variants import Ablation, parse_edit

Builder = Callable[[RunSpec, tuple[int, ...], int], nn.Module]
"""(spec, shape of one input, (C, H, W) of images, number of classes) -> the network."""


def build_model(
    spec: RunSpec, shape: tuple[int, ...], num_classes: int, label_shape: tuple[int, ...] = ()
) -> nn.Module:
    """The network `spec.model` with `spec.options`, for images of `shape` (C, H, W) with labels of `label_shape`.

    A reference network (`skipstone:...`) gets the data's channels and classes unless the options say otherwise; any
    other target is called with the options alone.

    Raises:
        SkipstoneError: the target cannot be found or built, an edit cannot be carried out, or the network does not map
            (2, C, H, W) to (2, num_classes, *label_shape).
    """
    target = parse_target(spec.model)
    given = dict(spec.options)
    if target.where == "skipstone":
        defaults = {"num_classes": num_classes, "in_channels": shape[0]}
        given = {key: value for key, value in defaults.items() if key not in target.kwargs} | given
    model = edited(resolve(spec.model, **given), spec, shape)
    _demand_fit(spec, model, shape, (num_classes, *label_shape))
    return model


def edited(model: nn.Module, spec: RunSpec, shape: tuple[int, ...]) -> nn.Module:
    """The network after the spec's edits, each told in terms of the network that the ones before it left."""
    example = torch.empty((2, *shape), device="meta")
    for text in spec.edits:
        edit = parse_edit(text)
        try:
            if isinstance(edit, Ablation):
                model = surgery.ablate(model, edit.which, example, parameters="remove", copy=False)
            else:
                model = surgery.connect(
                    model, edit.source, edit.target, merge=edit.merge, shortcut=edit.shortcut, at_init=edit.at_init,
                    example=example, copy=False,
                )  # fmt: skip
        except SkipstoneError as error:
            raise SkipstoneError(f"{spec.model}: edit {text!r} cannot be carried out: {error}") from error
    return model


def _demand_fit(spec: RunSpec, model: nn.Module, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    images, logits = f"(2, {', '.join(map(str, shape))})", (2, *expected)
    training = model.training
    model.eval()  # so that no statistics move and nothing random is drawn
    try:
        with torch.no_grad():
            output = model(torch.zeros(2, *shape))
    except BaseException as error:  # whatever a user's forward raises
        if ctrl_c(error):
            raise
        said = f"{spec.model} cannot take {spec.data}'s images {images}: {one_line(error)}"
        raise SkipstoneError(f"{said}{reason(spec, model, shape, said)}") from error
    finally:
        model.train(training)
    if not isinstance(output, torch.Tensor):
        raise SkipstoneError(
            f"{spec.model} returns {type(output).__name__}, expected a tensor (N, {', '.join(map(str, expected))}) of "
            "logits"
        )
    if output.shape != logits:
        raise SkipstoneError(
            f"{spec.model} maps {images} to {tuple(output.shape)}; {spec.data} needs logits {logits}"
            f"{', one for each pixel' if len(expected) > 1 else ''}"
        )


def reason(spec: RunSpec, model: nn.Module, shape: tuple[int, ...], said: str) -> str:
    """To follow `said`, why a network can't be trained: what the checker adds, and the command that shows all of it."""
    adds = checker_says(model, shape, besides=said)
    return f"{f'; {adds}' if adds else ''}; see: skipstone check {spec.model!r} --input {'x'.join(map(str, shape))}"


def checker_says(model: nn.Module, shape: tuple[int, ...], besides: str = "") -> str:
    """The first error that the checker finds in a network, as `SK101 cannot add 8 channels to 4 channels (net.py:12)`.

    Empty where it finds none, can't record the network, or `besides` says it already. A fault of the checker's own is
    said and stops nobody from training.
    """
    try:
        errors = check(model, (2, *shape)).errors
    except (SkipstoneError, SystemExit):
        return ""
    except InternalError as error:
        return f"the checker itself failed: {error}"
    if not errors or errors[0].message in besides:
        return ""
    place = f" ({errors[0].file}:{errors[0].line})" if errors[0].file else ""
    return f"{errors[0].code} {errors[0].message}{place}"
