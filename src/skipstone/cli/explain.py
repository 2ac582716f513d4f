"""`skipstone explain SK102`, `skipstone explain rezero`."""


def run(name: str, /) -> int:
    """Print the page of a finding's code (SK102, spatial-mismatch) or of a design (rezero).

    Parameters
    ----------
    name
        A code, a rule's name, or the slug of a design.
    """
    from skipstone.integrations.pages import explain

    print(explain(name))
    return 0
