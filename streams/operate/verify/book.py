"""How tables stood when they were verified last, and what repairs there were: topic `verification`.

    <system>.<table> -> its last verification       repair/<number> -> intended, then done

A repair is noted before anything is sent, so that one that was cut off is known, too. Who did it and why is in the
audit (operate/audit), whose rows name the repair. Ids, counts and names of
columns only: no value of a row ever stands here (invariant 11).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from typing import Any, Self

import msgspec
import structlog

from streams.core.verify import DIFFERENT, EXTRA, MISSING
from streams.operate import reading
from streams.operate.quarantine.send import Outgoing, Sender
from streams.operate.verify.found import Divergence, Verified
from streams.settings import Settings, need

log = structlog.get_logger(__name__)

TOPIC = "verification"
REPAIR = b"repair/"
LISTED = 10_000
"""Rows named in one record, of repairs and of verifications."""


class Book:
    """Writes the records; a context manager."""

    def __init__(self, settings: Settings) -> None:
        self._topic, self._kafka = settings.topic(TOPIC), need(settings.kafka, "CONCORD_KAFKA")

    def __enter__(self) -> Self:
        self._sender = Sender(self._kafka)
        return self

    def __exit__(self, *_: object) -> None:
        self._sender.close()

    def verified(self, found: Iterable[Verified]) -> None:
        """How tables stood when they were looked at last."""
        self._write((each.name.encode(), _verification(each)) for each in found)

    def intend(self, number: str, system: str, found: Sequence[Divergence], by: str, cause: str) -> None:
        """What will be repaired."""
        self._write([(REPAIR + number.encode(), _repair("intended", number, system, found, by, cause))])

    def done(self, number: str, system: str, found: Sequence[Divergence], by: str, cause: str) -> None:
        """What came of it; the log has the counts."""
        self._write([(REPAIR + number.encode(), _repair("done", number, system, found, by, cause))])
        repaired = sum(each.repaired for each in found)
        log.info(
            "verify.repaired",
            system=system,
            repair=number,
            by=by,
            cause=cause,
            rows=len(found),
            agree=repaired,
        )

    def asserted(self, number: str, system: str, entities: Sequence[str], by: str, cause: str) -> None:
        """Whose views are sent once more."""
        said = {
            "repair": number,
            "state": "asserted",
            "system": system,
            "by": by,
            "cause": cause,
            "at": time.time(),
        }
        self._write([(REPAIR + number.encode(), {**said, "entities": list(entities[:LISTED])})])

    def _write(self, records: Iterable[tuple[bytes, dict[str, Any]]]) -> None:
        self._sender.send(
            Outgoing(self._topic, 0, key, msgspec.json.encode(value), []) for key, value in records
        )


def _verification(found: Verified) -> dict[str, Any]:
    counts = {
        name: getattr(found, name) for name in ("rows", "lsn", "at", "seconds", "quarantined", "unsettled")
    }
    rows = [_row(each) for each in found.divergences[:LISTED]]
    said = {"system": found.system, "table": found.table, **counts, **found.counts}
    return {**said, "told": found.told, "divergences": rows}


def _repair(
    state: str, number: str, system: str, found: Sequence[Divergence], by: str, cause: str
) -> dict[str, Any]:
    counts = {kind: sum(each.state == kind for each in found) for kind in (MISSING, EXTRA, DIFFERENT)}
    said = {"repair": number, "state": state, "system": system, "by": by, "cause": cause, "at": time.time()}
    agree = sum(each.repaired for each in found)
    return {**said, **counts, "agree": agree, "divergences": [_row(each) for each in found[:LISTED]]}


def _row(each: Divergence) -> dict[str, Any]:
    return {
        "table": each.table,
        "entity": each.key.decode(),
        "row": each.row,
        "state": each.state,
        "columns": each.columns,
        "repaired": each.repaired,
    }


def told(settings: Settings) -> dict[str, dict[str, Any]]:
    """key -> the newest record of topic `verification`."""
    starts = reading.beginnings(settings.topic(TOPIC), [0])
    found = reading.newest(need(settings.kafka, "CONCORD_KAFKA"), starts)
    return {key.decode(): json.loads(message.value() or b"{}") for key, message in found.items()}
