"""`python -m proxflow` is the command line."""

from proxflow.cli import main

main()
