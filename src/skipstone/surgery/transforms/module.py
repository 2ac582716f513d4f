"""The operand through a new layer of the module that holds the site."""

from skipstone.surgery.transforms.meaning import Live, Meaning, Use


def _live(use: Use) -> Live:
    return lambda x, like, holder: getattr(holder, use.name)(x)


MEANING = Meaning(
    _live,
    lambda use, x, like: f"{use.holder}.{use.name}({x})",
    "pass {operand} through a new layer: self.{name} = {module}",
)
