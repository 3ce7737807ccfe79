"""The errors people see.

    ConcordError                 code · message · next step · exit code
    ├── InvalidInput (Terminal)     2: a file, an argument or a contract is wrong; trying again cannot help
    ├── EnvironmentFault            3: a service, a port, a role or a tool is missing
    └── Unavailable  (Transient)    1: a service did not answer in time; trying again may help

`Transient` and `Terminal` decide retries by type. An error is either raised or logged, never both.
Bad *data* is no exception: in `streams.core` it is a value (`Malformed`, a finding). Messages never
hold restricted values (SSN, DOB, DEA, TIN): they name paths and positions (invariant 11).
"""

from __future__ import annotations


class Transient:
    """Mixin: the same call may succeed later."""


class Terminal:
    """Mixin: the same call will fail again until somebody changes something."""


class ConcordError(Exception):
    """Base of every error raised on purpose; `code` is stable and dotted, `next_step` says what to do.

    `retry_after`: seconds before which trying again is not wanted by whom we asked.
    """

    exit_code = 1

    def __init__(self, code: str, message: str, next_step: str = "", retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.next_step = next_step
        self.retry_after = retry_after

    def __str__(self) -> str:
        tail = f"\n  next: {self.next_step}" if self.next_step else ""
        return f"{self.code}: {self.message}{tail}"


class InvalidInput(ConcordError, Terminal):
    """A file, argument or contract is wrong (exit code 2)."""

    exit_code = 2


class EnvironmentFault(ConcordError):
    """Something this machine or cluster must provide is missing or refuses (exit code 3)."""

    exit_code = 3


class Unavailable(ConcordError, Transient):
    """A service did not answer in time; it may later (exit code 1)."""
