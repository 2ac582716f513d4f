"""One table a package; a new file here is a new line below."""

from importlib import import_module

from zoo.network import Family

NAMES = (
    "torchvision",
    "timm",
    "transformers",
    "diffusers",
    "pytorchcv",
    "segmentation_models_pytorch",
    "monai",
    "vit_pytorch",
    "x_transformers",
    "denoising_diffusion_pytorch",
    "asteroid",
    "torch_geometric",
    "open_clip_torch",
)


def families() -> tuple[Family, ...]:
    """The tables in the order of the page; importing one imports no network's package."""
    return tuple(import_module(f"zoo.families.{name}").FAMILY for name in NAMES)
