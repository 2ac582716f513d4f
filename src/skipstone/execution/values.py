"""Which refusals may be a matter of the values given, not of the network: drawn inputs have no bounds."""

from skipstone.execution.passes import Raised
from skipstone.graphs.operations import words

# Probabilities outside 0..1, a matrix that is not positive definite.
_OF_VALUES = words(
    """bernoulli multinomial poisson binary_cross_entropy cholesky cholesky_ex cholesky_inverse inverse det slogdet inv
    solve eigh svd qr lstsq"""
)
_INDEXES = words("embedding getitem index_select gather take_along_dim scatter scatter_add index_add one_hot take")


def is_of_values(raised: Raised) -> bool:
    """May the same shapes with other values run? The network's own code may look at values, an index may be one."""
    return not raised.op or raised.op in _OF_VALUES or is_out_of_range(raised)


def is_out_of_range(raised: Raised) -> bool:
    """Does an operation meet an index that is out of range?"""
    return raised.op in _INDEXES and "out of" in raised.message
