"""Broadcasts that nobody meant, found in one recorded pass.

The judgement itself stands with the legal sizes, which need it too: `skipstone.tracing.sizes.broadcast`.
"""

from skipstone.tracing.sizes.broadcast import accidental_broadcasts

__all__ = ["accidental_broadcasts"]
