"""`python -m vidsr` is the command `vidsr`."""

from vidsr.cli.start import main

if __name__ == "__main__":  # worker processes import this module under another name
    main()
