"""What a request that missed is told as, by whichever adapter asked: names of fields and proposals, never a value."""

from __future__ import annotations

from collections.abc import Iterable

from connectors.sink import Failed, Row

MISSING = "request.missed"


def missed(requests: Iterable[Row]) -> Failed:
    """The owner's row is gone, or somebody has changed the value meanwhile."""
    named = ", ".join(f"{r['record']}.{r['field']} (proposal {r['id']})" for r in requests)
    return Failed(MISSING, f"{named}: the row is gone, or holds another value than the approval is bound to")
