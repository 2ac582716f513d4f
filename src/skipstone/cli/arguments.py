"""What several commands take, each kind of argument described and parsed in one place."""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from skipstone.core.errors import SkipstoneError
from skipstone.core.literals import literal, split
from skipstone.runs.records import Decayed, Flips, Optimizer, Padding, Precision, Recipe, RunSpec, Schedule, Views
from skipstone.runs.stopping import StopRule

if TYPE_CHECKING:
    import torch

    from skipstone.experiments import Runner
    from skipstone.integrations.run_logging import Logging

_FORMS = (
    "file.py:Name, 'file.py:factory(64, 128)', package.module:Name, timm:NAME, torchvision:NAME, skipstone:NAME. "
    "Arguments are literals; nothing typed is evaluated."
)
_INPUT = (
    "One example input: 3x32x32 (a batch of 2 is added), 2,3,32,32 (with the batch), 2,16:int64 (with a dtype); once "
    "for each of the network's inputs."
)

_EPOCHS = 15
_UNITS = {"s": 1, "m": 60, "h": 3600}

Target = Annotated[str, Parameter(help=_FORMS)]
Inputs = Annotated[tuple[str, ...], Parameter(name=["--input", "-i"], consume_multiple=False, help=_INPUT, negative="")]
Mode = Annotated[
    Literal["train", "eval"],
    Parameter(help="The network as in training or in evaluation: batch norm and dropout behave accordingly."),
]
TextOrJson = Annotated[Literal["text", "json"], Parameter(name=["--format", "-f"], help="text or json.")]
Diff = Annotated[bool, Parameter(help="Print the change of the source as one patch that git apply takes.")]
Write = Annotated[bool, Parameter(help="Make that change in the source.")]
Data = Annotated[
    str,
    Parameter(help="digits, cifar10, cifar100, folder:PATH of pictures, or file.py:make_data, which returns datasets."),
]
DataFolder = Annotated[
    Path | None,
    Parameter(
        help="Where CIFAR's binary version lies, a folder or the archive; fetched from its official address otherwise."
    ),
]
RecipeName = Annotated[
    str | None,
    Parameter(
        help="A recipe by name (fast, he2015, huang2016), or a TOML file with the fields below (lr = 0.05), and "
        "perhaps network and epochs, as skipstone search writes it; flags win over it."
    ),
]
Patience = Annotated[
    int | None,
    Parameter(
        help="Stop early: end a run after so many epochs without a lower validation loss, and test the network as it "
        "was at the lowest. Off by default; a rate that falls late, as one-cycle's, wants all epochs."
    ),
]


def examples(target: str, texts: tuple[str, ...]) -> tuple["torch.Tensor", ...]:
    """The example inputs of a target as typed, one `--input` each."""
    from skipstone.models.target import demand_there
    from skipstone.tracing import parse_input_text

    demand_there(target)
    if not texts:
        raise SkipstoneError("no example input; give one such as --input 3x32x32")
    return tuple(map(parse_input_text, texts))


def output_path(path: Path | None) -> Path | None:
    """A file to be written, refused before the work and not after it."""
    if path is None:
        return None
    if path.is_dir():
        raise SkipstoneError(f"{path} is a folder; give a file to write")
    if not path.parent.is_dir():
        raise SkipstoneError(f"{path} cannot be written: there is no folder {path.parent}")
    return path


# ---- what networks and recipes are given


def _help(text: str, negative: str = "") -> Any:
    return Parameter(help=text, group="Recipe", negative=negative)


@dataclass(frozen=True)
class RecipeFlags:
    """The fields of `Recipe` as flags; None where the flag is not given and file or default decide."""

    optimizer: Annotated[Optimizer | None, _help("sgd (default) or adamw.")] = None
    lr: Annotated[float | None, _help("Peak learning rate. Default 0.1.")] = None
    momentum: Annotated[float | None, _help("SGD's momentum. Default 0.9.")] = None
    nesterov: Annotated[bool | None, _help("Nesterov's form of it. On by default.", "--no-nesterov")] = None
    weight_decay: Annotated[float | None, _help("Not on biases and normalisation. Default 5e-4.")] = None
    decayed: Annotated[Decayed | None, _help("weights (default), or all: biases and normalisation too.")] = None
    schedule: Annotated[Schedule | None, _help("one-cycle (default), cosine, step or constant.")] = None
    warmup: Annotated[float | None, _help("Share of all steps in which the rate rises. Default 0.2.")] = None
    batch_size: Annotated[int | None, _help("Images a step. Default 128.")] = None
    label_smoothing: Annotated[float | None, _help("Default 0.")] = None
    augmentation: Annotated[
        Literal["auto", "none", "crop", "crop-flip"] | None,
        _help("auto (default: crop-flip on CIFAR, none on digits), none, crop or crop-flip."),
    ] = None
    padding: Annotated[Padding | None, _help("Around crops: reflect (default) or zeros.")] = None
    flips: Annotated[
        Flips | None, _help("random (default), or alternating: each image is mirrored in every other epoch.")
    ] = None
    views: Annotated[
        Views | None, _help("Of each test image: 1 (default), 2 with its mirror image, 6 moved by a pixel too.")
    ] = None
    clip: Annotated[float | None, _help("Largest norm of the whole gradient. Default: none.")] = None
    precision: Annotated[
        Precision | None, _help("fp32 (default), bf16 (autocast), or auto: bf16 where the device computes in it.")
    ] = None
    cuda_graph: Annotated[
        bool | None,
        _help(
            "On a GPU: record a step once and replay it, for networks whose Python always does the same.",
            "--no-cuda-graph",
        ),
    ] = None

    def given(self) -> dict[str, Any]:
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


def base_spec(
    flags: RecipeFlags | None,
    options: list[str] | None,
    data_dir: Path | None,
    patience: int | None,
    recipe: str | None = None,
    *,
    epochs: int | None,
    **fields: Any,
) -> RunSpec:
    """What the runs of a command have in common, from its flags; `fields` are the spec's own.

    Of a recipe its settings and its epochs are taken: which networks are trained, the command says.
    """
    from skipstone.runs.recipe_file import read_setup, recipe_path

    given = (flags or RecipeFlags()).given()
    setup: dict[str, Any] = {"recipe": replace(Recipe(), **given)}
    if recipe:
        setup = read_setup(recipe_path(recipe), given)
    return RunSpec(
        data_dir=str(data_dir) if data_dir else None,
        recipe=setup["recipe"],
        epochs=setup.get("epochs", _EPOCHS) if epochs is None else epochs,
        options=dict(map(assignment, options or [])),
        stop=StopRule(patience),
        **fields,
    )


def _runner(text: str) -> Any:
    return Parameter(help=text, group="Runner")


@dataclass(frozen=True)
class RunnerFlags:
    """Where runs are trained, as flags; None where the flag is not given."""

    runner: Annotated[Literal["local", "ray"], _runner("local (default), or ray: a Ray cluster.")] = "local"
    address: Annotated[
        str | None, _runner("The cluster's head node, host:port. Default: the cluster this machine is part of.")
    ] = None
    cpus: Annotated[float | None, _runner("CPUs to reserve for a run on the cluster. Default 1.")] = None
    gpus: Annotated[float | None, _runner("GPUs to reserve for a run, 0.5 for two runs on one. Default 0.")] = None
    memory_gb: Annotated[float | None, _runner("Memory to reserve for a run; --plan measures it.")] = None
    retries: Annotated[
        int | None, _runner("How often a run may lose its node without an epoch in between. Default 3.")
    ] = None

    def make(self, workers: int | None) -> "Runner":
        """The runner, `workers` runs at a time."""
        given = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "runner"}
        given = {name: value for name, value in given.items() if value is not None}
        if self.runner == "ray":
            from skipstone.experiments.cluster import RayRunner

            return RayRunner(at_once=workers, **given)
        if given:
            raise SkipstoneError(f"--{next(iter(given)).replace('_', '-')} is of a cluster; give --runner ray with it")
        from skipstone.experiments import LocalRunner

        return LocalRunner(workers)


def assignment(text: str) -> tuple[str, Any]:
    """`width=8` as ("width", 8)."""
    name, value = _halves(text)
    return name, literal(value)


def assignments(text: str) -> tuple[str, list[Any]]:
    """`dropout=0,0.2` as ("dropout", [0, 0.2])."""
    name, values = _halves(text)
    return name, [literal(part) for part in split(values)]


def _log(text: str) -> Any:
    return Parameter(help=text, group="Logging")


@dataclass(frozen=True)
class LoggingFlags:
    """Where runs are logged besides their folders."""

    tensorboard: Annotated[Path | None, _log("A folder for TensorBoard: a log for each run, by its name.")] = None
    wandb: Annotated[str | None, _log("A project of Weights & Biases.")] = None
    mlflow: Annotated[str | None, _log("An experiment of MLflow.")] = None

    def logging(self) -> "Logging":
        """What is wanted, each program seen to be installed."""
        from skipstone.integrations.run_logging import Logging

        logging = Logging(self.tensorboard, self.wandb, self.mlflow)
        logging.demand_installed()
        return logging


def seconds(text: str) -> float:
    """`90s`, `10m`, `1.5h` as seconds; a number alone is seconds."""
    number, unit = (text[:-1], text[-1:]) if text[-1:] in _UNITS else (text, "s")
    try:
        return float(number) * _UNITS[unit]
    except ValueError:
        raise SkipstoneError(f"time {text!r} is not understood, expected as 90s, 10m or 2h") from None


def _halves(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier() or not value:
        raise SkipstoneError(f"option {text!r} is not understood, expected name=value")
    return name, value
