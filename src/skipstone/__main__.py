"""`python -m skipstone` is the `skipstone` command."""

from skipstone.cli import main

main()
