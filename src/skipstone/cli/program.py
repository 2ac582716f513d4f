"""`skipstone run train.py --epochs 3`: the user's own program, with our report under its traceback."""

import sys
from collections.abc import Sequence

from skipstone.cli.boundary import tell

USAGE = """usage: skipstone run [--check] script.py [argument ...]
       skipstone run [--check] -m package.module [argument ...]

Run a program as Python would. Where a network, a loss or a backward pass in it fails, the traceback is followed by what
is wrong, where, and how to mend it. Everything behind the script's name is the script's.

  --check   check also what does not fail: each network seen in training, once, told when the program ends
"""


def main(arguments: Sequence[str]) -> None:
    """Run a program until it ends, as it ends. Only a call that can't be understood ends with status 2."""
    rest = list(arguments)
    check = module = False
    while rest and rest[0].startswith("-"):
        flag = rest.pop(0)
        if flag in ("-h", "--help"):
            print(USAGE, end="")
            sys.exit(0)
        elif flag == "--check":
            check = True
        elif flag == "-m":
            module = True
            break
        else:
            print(
                f"skipstone: run has no option {flag!r}; the program's own options stand behind its name",
                file=sys.stderr,
            )
            sys.exit(2)
    if not rest:
        print(f"skipstone: run needs a program\n\n{USAGE}", end="", file=sys.stderr)
        sys.exit(2)
    from skipstone.programs.script import ProgramError, run_program

    try:
        run_program(rest[0], rest[1:], module=module, check=check)
    except ProgramError as error:
        tell(str(error))
        sys.exit(2)


def run(*program: str) -> int:
    """Run a program as Python would; see `main`, which a process that is ours alone goes through."""
    main(program)
    return 0
