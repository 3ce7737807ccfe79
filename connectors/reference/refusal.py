"""Why a published file is no new version of its source: then the last good one stays, and nothing is "clear".

`Unusable` is noted as the source's newest attempt and shown by `concord reference status` until a load succeeds.
Messages name file, line and column, never a value.
"""

from __future__ import annotations

from streams.errors import InvalidInput

AGAIN = "download it again and compare its size; the last good version stays in use"
NEXT = {
    "column_missing": "did the publisher change the layout? docs/operations.md says what is read",
    "not_codes": "load the NUCC provider taxonomy, not a list made from it; the last good version stays in use",
    "several_files": "unpack the zip and name the one file",
}


class Unusable(InvalidInput):
    """The file is broken or none of its source's (exit code 2); `why` tells which, in one word."""

    def __init__(self, why: str, message: str) -> None:
        code = "reference.column_missing" if why == "column_missing" else "reference.unavailable"
        super().__init__(code, message, NEXT.get(why, AGAIN))
        self.why = why


def unusable(why: str, message: str) -> Unusable:
    """A delimited.Refusal."""
    return Unusable(why, message)
