"""`skipstone explain SK102`, `skipstone explain rezero`."""


def run(name: str, /) -> int:
    """Print the page of a finding's code (SK102, spatial-mismatch) or of a design (rezero).

    Parameters
    ----------
    name
        A code, a rule's name, or the slug of a design.
    """
    from skipstone import blocks
    from skipstone.checks.codes import BY_CODE, BY_RULE
    from skipstone.checks.pages import find_code, page
    from skipstone.core.errors import UnknownNameError

    if name in blocks.names():
        print(blocks.page(name))
        return 0
    known = [*BY_CODE, *BY_RULE, *blocks.names()]
    if name.upper() not in BY_CODE and name.lower().replace("_", "-") not in BY_RULE:
        raise UnknownNameError("code or design", name, known)
    print(page(find_code(name)))
    return 0
