"""What can go wrong in an edit, and what an edit wants to say."""

from skipstone.core.errors import SkipstoneError


class SurgeryError(SkipstoneError):
    """An edit that cannot be carried out as asked. Nothing has been changed."""


class SurgeryWarning(UserWarning):
    """Something about an edit that the user should know: a shared module, a fallback that has limits."""
