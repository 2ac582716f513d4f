"""What a resumed part of a run has otherwise than the part before it."""

from skipstone.core.codec import Json


def changed(before: Json, now: Json) -> Json:
    """What a resumed part of a run has otherwise than the part before: name -> [before, now].

    Where this is not empty, resumed numbers need not be those of an uninterrupted run.
    """
    ignored = ("started", "resumed")
    return {
        key: [before.get(key), value] for key, value in now.items() if key not in ignored and before.get(key) != value
    }
