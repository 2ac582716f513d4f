"""Skip connections in PyTorch networks: check them, build them, rewire them, measure what they buy.

Every public function, result and error is listed in `_EXPORTS` and imported when first asked for, so that
`import skipstone` stays fast and free of torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0.dev0"

# Public name -> the module that defines it, in the order of docs/api.md.
_EXPORTS = {
    # what is asked of a network
    "check": "skipstone.checks",
    "assert_skips_ok": "skipstone.checks",
    "trace": "skipstone.tracing",
    "find_skips": "skipstone.skips",
    "legal_sizes": "skipstone.sizes",
    "gradient_flow": "skipstone.flow",
    "watch": "skipstone.flow",
    "ablate": "skipstone.surgery",
    "connect": "skipstone.surgery",
    "diff": "skipstone.surgery",
    "train": "skipstone.training",
    "plan": "skipstone.experiments.plan",
    "compare": "skipstone.experiments",
    "write_report": "skipstone.report",
    "explain": "skipstone.programs",
    "explaining": "skipstone.programs",
    "install": "skipstone.programs",
    # what comes back
    "Report": "skipstone.checks",
    "Finding": "skipstone.core.finding",
    "Repair": "skipstone.checks.repair",
    "Place": "skipstone.core.graph",
    "Graph": "skipstone.core.graph",
    "Node": "skipstone.core.graph",
    "Skip": "skipstone.core.skip",
    "SizeReport": "skipstone.core.sizes",
    "AxisSizes": "skipstone.core.sizes",
    "SkipDiff": "skipstone.surgery",
    "FlowRecord": "skipstone.runs.flow",
    "Recipe": "skipstone.runs.records",
    "RunSpec": "skipstone.runs.records",
    "RunResult": "skipstone.runs.records",
    "RunRecord": "skipstone.runs.records",
    "Comparison": "skipstone.experiments",
    # what may be raised
    "SkipstoneError": "skipstone.core.errors",
    "UnknownNameError": "skipstone.core.errors",
    "ExampleError": "skipstone.core.input_text",
    "TargetError": "skipstone.models.importing",
    "SizesError": "skipstone.sizes",
    "SurgeryError": "skipstone.surgery",
    "SurgeryWarning": "skipstone.surgery",
    "SourceError": "skipstone.core.sources",
    "DataError": "skipstone.data.images",
    "FolderError": "skipstone.runs.folder",
    "RecordError": "skipstone.core.codec",
    "RunFailed": "skipstone.training.loop",
    "InternalError": "skipstone.core.errors",
    "UntestedTorchWarning": "skipstone.core.errors",
    "PartialRecordWarning": "skipstone.core.errors",
}

# Packages that are part of the public surface themselves.
_PACKAGES = ("blocks", "learn", "models")

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
    from skipstone import learn as learn
    from skipstone import models as models
    from skipstone.checks import Report as Report
    from skipstone.checks import assert_skips_ok as assert_skips_ok
    from skipstone.checks import check as check
    from skipstone.checks.repair import Repair as Repair
    from skipstone.core.codec import RecordError as RecordError
    from skipstone.core.errors import InternalError as InternalError
    from skipstone.core.errors import PartialRecordWarning as PartialRecordWarning
    from skipstone.core.errors import SkipstoneError as SkipstoneError
    from skipstone.core.errors import UnknownNameError as UnknownNameError
    from skipstone.core.errors import UntestedTorchWarning as UntestedTorchWarning
    from skipstone.core.finding import Finding as Finding
    from skipstone.core.graph import Graph as Graph
    from skipstone.core.graph import Node as Node
    from skipstone.core.graph import Place as Place
    from skipstone.core.input_text import ExampleError as ExampleError
    from skipstone.core.sizes import AxisSizes as AxisSizes
    from skipstone.core.sizes import SizeReport as SizeReport
    from skipstone.core.skip import Skip as Skip
    from skipstone.core.sources import SourceError as SourceError
    from skipstone.data.images import DataError as DataError
    from skipstone.experiments import Comparison as Comparison
    from skipstone.experiments import compare as compare
    from skipstone.experiments.plan import plan as plan
    from skipstone.flow import gradient_flow as gradient_flow
    from skipstone.flow import watch as watch
    from skipstone.models.importing import TargetError as TargetError
    from skipstone.programs import explain as explain
    from skipstone.programs import explaining as explaining
    from skipstone.programs import install as install
    from skipstone.report import write_report as write_report
    from skipstone.runs.flow import FlowRecord as FlowRecord
    from skipstone.runs.folder import FolderError as FolderError
    from skipstone.runs.records import Recipe as Recipe
    from skipstone.runs.records import RunRecord as RunRecord
    from skipstone.runs.records import RunResult as RunResult
    from skipstone.runs.records import RunSpec as RunSpec
    from skipstone.sizes import SizesError as SizesError
    from skipstone.sizes import legal_sizes as legal_sizes
    from skipstone.skips import find_skips as find_skips
    from skipstone.surgery import SkipDiff as SkipDiff
    from skipstone.surgery import SurgeryError as SurgeryError
    from skipstone.surgery import SurgeryWarning as SurgeryWarning
    from skipstone.surgery import ablate as ablate
    from skipstone.surgery import connect as connect
    from skipstone.surgery import diff as diff
    from skipstone.tracing import trace as trace
    from skipstone.training import train as train
    from skipstone.training.loop import RunFailed as RunFailed
