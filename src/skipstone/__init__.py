"""Skip connections in PyTorch networks: check them, build them, rewire them, measure what they buy.

Every public function is listed in `_EXPORTS` and imported when first asked for, so that `import skipstone` stays
fast and free of torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0.dev0"

# Public name -> the package that defines it.
_EXPORTS = {
    "trace": "skipstone.tracing",
    "find_skips": "skipstone.skips",
    "legal_sizes": "skipstone.sizes",
    "check": "skipstone.checks",
    "assert_skips_ok": "skipstone.checks",
    "gradient_flow": "skipstone.flow",
    "watch": "skipstone.flow",
    "train": "skipstone.training",
    "compare": "skipstone.experiments",
    "ablate": "skipstone.surgery",
    "connect": "skipstone.surgery",
    "diff": "skipstone.surgery",
    "explain": "skipstone.programs",
    "explaining": "skipstone.programs",
    "install": "skipstone.programs",
}

# Packages that are part of the public surface themselves.
_PACKAGES = ("blocks", "models")

__all__ = ["__version__", *_PACKAGES, *_EXPORTS]


def __getattr__(name: str) -> object:
    if name in _PACKAGES:
        return import_module(f"skipstone.{name}")
    if name in _EXPORTS:
        return getattr(import_module(_EXPORTS[name]), name)
    raise AttributeError(f"module 'skipstone' has no attribute {name!r}")


def load_ipython_extension(shell: object) -> None:
    """`%load_ext skipstone`: the explanation of an error under the traceback of its cell."""
    from skipstone.integrations.notebook import load

    load(shell)


def unload_ipython_extension(shell: object) -> None:
    """`%unload_ext skipstone`."""
    from skipstone.integrations.notebook import unload

    unload(shell)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PACKAGES, *_EXPORTS])


if TYPE_CHECKING:
    from skipstone import blocks as blocks
    from skipstone import models as models
    from skipstone.checks import assert_skips_ok as assert_skips_ok
    from skipstone.checks import check as check
    from skipstone.experiments import compare as compare
    from skipstone.flow import gradient_flow as gradient_flow
    from skipstone.flow import watch as watch
    from skipstone.programs import explain as explain
    from skipstone.programs import explaining as explaining
    from skipstone.programs import install as install
    from skipstone.sizes import legal_sizes as legal_sizes
    from skipstone.skips import find_skips as find_skips
    from skipstone.surgery import ablate as ablate
    from skipstone.surgery import connect as connect
    from skipstone.surgery import diff as diff
    from skipstone.tracing import trace as trace
    from skipstone.training import train as train
