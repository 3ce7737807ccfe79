"""`python -m streams.cli`, the same as `concord`."""

from streams.cli.main import main

main()
