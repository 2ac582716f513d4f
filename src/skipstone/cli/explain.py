"""`skipstone explain SK102`, `skipstone explain rezero`."""


def run(name: str, /) -> int:
    """Print the page of a finding's code (SK102, spatial-mismatch) or a design (rezero), or what a word means (branch).

    Parameters
    ----------
    name
        A code, a rule's name, the slug of a design, or a word of docs/glossary.md.
    """
    from skipstone.integrations.pages import explain

    print(explain(name))
    return 0
