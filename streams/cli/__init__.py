"""The command line: words only; each command calls one function of `operate`, `connectors` or `schemas`."""
