"""The one table of findings: code, rule name, severity. Rule, file, page and test share the name."""

from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

from skipstone.core.finding import Severity


@dataclass(frozen=True, slots=True)
class Code:
    """A finding's stable code and its rule: `SK101`, `channel-mismatch`, held in `rules/channel_mismatch.py`."""

    code: str
    rule: str
    severity: Severity
    summary: str

    @property
    def module(self) -> ModuleType:
        return import_module(f"skipstone.checks.rules.{self.rule.replace('-', '_')}")


# 1xx: it does not run. 2xx: it runs and is wrong. 3xx: worth knowing.
CODES: tuple[Code, ...] = (
    Code("SK101", "channel-mismatch", "error", "the branches of an addition have different numbers of channels"),
    Code("SK102", "spatial-mismatch", "error", "the branches of a merge have different sizes"),
    Code("SK103", "wrong-width", "error", "a layer meets another number of features than it was made for"),
    Code("SK104", "rank-mismatch", "error", "the branches of a merge have different numbers of axes"),
    Code("SK105", "reshape-mismatch", "error", "a view, reshape or expand does not fit the tensor it gets"),
    Code("SK106", "fixed-table", "error", "a learned table of fixed length meets another number of tokens"),
    Code("SK107", "too-small", "error", "a map is smaller than the window, padding or pooling laid on it"),
    Code("SK108", "one-value-per-channel", "error", "a batch norm in training gets one value per channel"),
    Code("SK109", "inplace-saved", "error", "an in-place operation overwrites what the backward pass needs"),
    Code("SK110", "refused-operation", "error", "torch refuses an operation"),
    Code("SK111", "own-error", "error", "the network's own code raises on this input"),
    Code("SK112", "squeeze-eats-batch", "error", "a squeeze takes the batch axis away when the batch holds one sample"),
    Code("SK201", "accidental-broadcast", "warning", "two tensors meet by a broadcast that nobody meant"),
    Code("SK202", "identity-overwritten", "warning", "an in-place operation changes the shortcut before it is added"),
    Code("SK203", "self-add", "warning", "a tensor is added to itself"),
    Code("SK204", "shortcut-twice", "warning", "the same shortcut is added a second time"),
    Code("SK205", "stale-identity", "warning", "the second residual adds the input of the first one, not its output"),
    Code("SK206", "normed-identity", "warning", "a pre-norm block takes its identity behind the norm"),
    Code("SK207", "dead-computation", "warning", "layers run, and nothing the network returns depends on them"),
    Code("SK208", "unread-shortcut", "warning", "a forward keeps its input for a skip connection and never uses it"),
    Code("SK209", "cut-gradient", "warning", "a skip connection or its branch is cut off from the gradient"),
    Code("SK210", "zeroed-branch", "warning", "a branch of a skip connection is multiplied by a constant zero"),
    Code("SK211", "bypassed-forward", "warning", "a module's children run in a row, past its own forward"),
    Code("SK212", "skip-never-taken", "warning", "no block meets the condition under which its skip is added"),
    Code("SK213", "wrong-cat-axis", "warning", "maps of the same places are concatenated along places or the batch"),
    Code("SK214", "shared-module", "warning", "one module stands where two were meant"),
    Code("SK215", "batch-attention", "warning", "attention or recurrence runs over the batch"),
    Code("SK216", "drop-path-axis", "warning", "stochastic depth drops tokens or places instead of samples"),
    Code("SK217", "drop-path-scale", "warning", "stochastic depth never rescales"),
    Code("SK218", "swapped-axes", "warning", "two axes change places on a branch, hidden by a square input"),
    Code("SK219", "rectified-branch", "warning", "the branch ends in a ReLU before the addition and another follows"),
    Code("SK220", "dropped-tail", "warning", "windows do not cover the whole sequence or map"),
    Code("SK301", "relu-before-add", "note", "the branch of a residual block ends in a ReLU"),
    Code("SK302", "needless-projection", "note", "a projection on the shortcut where the identity would fit"),
    Code("SK303", "pool-after-pointwise", "note", "an average pool behind a 1x1 convolution, cheaper before it"),
    Code("SK304", "lost-in-rounding", "note", "a branch too small to change a half-precision stream"),
    Code("SK305", "long-chain", "note", "many layers in a row without a skip connection"),
)
BY_CODE = {code.code: code for code in CODES}
BY_RULE = {code.rule: code for code in CODES}
