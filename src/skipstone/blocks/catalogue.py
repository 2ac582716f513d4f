"""The table of designs, and what can be asked of it."""

import inspect
from importlib import import_module
from types import ModuleType

from skipstone.core.design import Design
from skipstone.core.errors import UnknownNameError

# Slug -> module, in the order of the years. A test keeps the table and the folder equal.
CATALOGUE = {
    "highway": "skipstone.blocks.highway",
    "unet": "skipstone.blocks.unet",
    "resnet_a": "skipstone.blocks.resnet_a",
    "resnet_b": "skipstone.blocks.resnet_b",
    "resnet_c": "skipstone.blocks.resnet_c",
    "preactivation": "skipstone.blocks.preactivation",
    "scaled_shortcut": "skipstone.blocks.scaled_shortcut",
    "gated_shortcut": "skipstone.blocks.gated_shortcut",
    "dropout_shortcut": "skipstone.blocks.dropout_shortcut",
    "stochastic_depth": "skipstone.blocks.stochastic_depth",
    "wide": "skipstone.blocks.wide",
    "densenet": "skipstone.blocks.densenet",
    "fractalnet": "skipstone.blocks.fractalnet",
    "pyramidnet": "skipstone.blocks.pyramidnet",
    "resnext": "skipstone.blocks.resnext",
    "fpn": "skipstone.blocks.fpn",
    "diracnet": "skipstone.blocks.diracnet",
    "shake_shake": "skipstone.blocks.shake_shake",
    "dual_path": "skipstone.blocks.dual_path",
    "zero_gamma": "skipstone.blocks.zero_gamma",
    "revnet": "skipstone.blocks.revnet",
    "mobilenetv2": "skipstone.blocks.mobilenetv2",
    "attention_gate": "skipstone.blocks.attention_gate",
    "resnet_d": "skipstone.blocks.resnet_d",
    "fixup": "skipstone.blocks.fixup",
    "res2net": "skipstone.blocks.res2net",
    "skipinit": "skipstone.blocks.skipinit",
    "rezero": "skipstone.blocks.rezero",
    "repvgg": "skipstone.blocks.repvgg",
    "nf_resnet": "skipstone.blocks.nf_resnet",
    "layer_scale": "skipstone.blocks.layer_scale",
    "convnext": "skipstone.blocks.convnext",
    "denseformer": "skipstone.blocks.denseformer",
    "hyper_connections": "skipstone.blocks.hyper_connections",
    "orthogonal_update": "skipstone.blocks.orthogonal_update",
}


def names() -> tuple[str, ...]:
    """The slugs of all designs, oldest first."""
    return tuple(CATALOGUE)


def module(slug: str) -> ModuleType:
    """The Python module of a design. Raises `UnknownNameError` with the nearest slugs."""
    if slug not in CATALOGUE:
        raise UnknownNameError("design", slug, CATALOGUE)
    return import_module(CATALOGUE[slug])


def get(slug: str) -> Design:
    """The record of a design. Raises `UnknownNameError` with the nearest slugs."""
    design = module(slug).DESIGN
    assert isinstance(design, Design)
    return design


def page(slug: str) -> str:
    """The design's page in Markdown: its record as a table, then its module's docstring."""
    design = get(slug)
    text = inspect.cleandoc(module(slug).__doc__ or "")
    summary, _, body = text.partition("\n\n")
    rows = {
        "Paper": design.paper + (f", section {design.section}" if design.section else ""),
        "Authors": f"{', '.join(design.authors)}, {design.year}",
        "arXiv": f"[{design.arxiv}]({design.url})",
        "Equation": f"`{design.equation}`",
        "Initialisation": design.initialisation,
        "Shapes": design.shapes,
        "Spatial axes": ", ".join(map(str, design.dims)) if design.dims else "any",
        "Skips in its example": ", ".join(map(str, design.skips)) or "none in the graph",
        "Held by a test": design.fact,
        "Code": f"`{CATALOGUE[slug]}`",
    }
    table = "\n".join(f"| {name} | {cell(value)} |" for name, value in rows.items())
    return f"# {design.title}\n\n{summary}\n\n| | |\n|-|-|\n{table}\n\n{body.rstrip()}\n"


def cell(text: str) -> str:
    """Text for a cell of a Markdown table."""
    return text.replace("|", "\\|")
