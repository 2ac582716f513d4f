"""What an edit does to one operand: a file a transform, each with its meaning on tensors, in source and in words."""

from collections.abc import Mapping

from skipstone.core.edit import TransformKind
from skipstone.surgery.transforms import (
    center_crop_like,
    clone,
    crop_like,
    expand_like,
    flatten,
    interpolate_grid_like,
    interpolate_like,
    module,
    pad_like,
    permute,
    unsqueeze,
    zero,
)
from skipstone.surgery.transforms.meaning import Live, Meaning, Use, helper_lines

MEANINGS: Mapping[TransformKind, Meaning] = {
    "module": module.MEANING,
    "clone": clone.MEANING,
    "zero": zero.MEANING,
    "crop-like": crop_like.MEANING,
    "center-crop-like": center_crop_like.MEANING,
    "pad-like": pad_like.MEANING,
    "interpolate-like": interpolate_like.MEANING,
    "interpolate-grid-like": interpolate_grid_like.MEANING,
    "expand-like": expand_like.MEANING,
    "flatten": flatten.MEANING,
    "unsqueeze": unsqueeze.MEANING,
    "permute": permute.MEANING,
}

__all__ = ["MEANINGS", "Live", "Meaning", "Use", "helper_lines"]
