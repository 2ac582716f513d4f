"""What could mend a finding: for each rule the possible edits, likeliest first. None is shown unverified."""

from collections.abc import Callable, Iterator, Mapping

from skipstone.checks.proposals import silent
from skipstone.checks.proposals.inplace import inplace_saved
from skipstone.checks.proposals.merge import mismatch
from skipstone.checks.proposals.proposal import Proposal
from skipstone.checks.proposals.shape import fixed_table, one_value_per_channel, rank_mismatch, reshape_mismatch
from skipstone.checks.proposals.small import too_small
from skipstone.checks.proposals.width import wrong_width
from skipstone.checks.subject import Subject
from skipstone.core.finding import Finding

PROPOSALS: Mapping[str, Callable[[Subject, Finding], Iterator[Proposal]]] = {
    "channel-mismatch": mismatch,
    "spatial-mismatch": mismatch,
    "wrong-width": wrong_width,
    "rank-mismatch": rank_mismatch,
    "reshape-mismatch": reshape_mismatch,
    "fixed-table": fixed_table,
    "too-small": too_small,
    "one-value-per-channel": one_value_per_channel,
    "inplace-saved": inplace_saved,
    "identity-overwritten": silent.identity_overwritten,
    "shortcut-twice": silent.shortcut_twice,
    "wrong-cat-axis": silent.wrong_cat_axis,
    "batch-attention": silent.batch_attention,
    "squeeze-eats-batch": silent.squeeze_eats_batch,
    "accidental-broadcast": silent.accidental_broadcast,
}

__all__ = ["PROPOSALS", "Proposal"]
