"""`python -m vidsr` is the command `vidsr`."""

from vidsr.cli.main import main

main()
