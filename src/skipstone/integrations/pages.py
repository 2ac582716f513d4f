"""Pages by what a person types: a finding's code, a rule's name, a design's slug or the name it is known by."""

from skipstone import blocks
from skipstone.checks.codes import BY_CODE, BY_RULE
from skipstone.checks.pages import find_code, page
from skipstone.core.errors import UnknownNameError
from skipstone.integrations import glossary

KNOWN_AS = {
    "resnet": "resnet_b",  # what the networks of the paper's ImageNet tables, and every library since, are built with
    "mobilenet": "mobilenetv2",
    "drop_path": "stochastic_depth",
    "layerscale": "layer_scale",
}
"""A name people say, and the design that it stands for most of the time."""


def explain(name: str) -> str:
    """The page of a code (`SK102`), a rule (`spatial-mismatch`), a design (`rezero`) or a word (`branch`).

    Raises:
        UnknownNameError: none bears that name; the text offers the nearest ones.
    """
    slug = name.lower().replace("-", "_").replace(" ", "_")
    slug = KNOWN_AS.get(slug, slug)
    if slug in blocks.names():
        return blocks.page(slug) + _others(name, slug)
    if name.upper() in BY_CODE or name.lower().replace("_", "-") in BY_RULE:
        return page(find_code(name))
    if (term := glossary.term(name)) is not None:
        return glossary.page(term)
    raise UnknownNameError("code, design or word", name, [*BY_CODE, *BY_RULE, *blocks.names(), *glossary.names()])


def _others(name: str, slug: str) -> str:
    """Designs that bear the typed name too."""
    named = [other for other in blocks.names() if name.lower() in other and other != slug]
    return f"\nSee also: {', '.join(named)}\n" if named and name.lower() != slug else ""
