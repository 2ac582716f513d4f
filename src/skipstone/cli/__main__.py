from skipstone.cli import main

main()
