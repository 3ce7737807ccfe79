"""What a system says became of a delivery: a receipt file that comes back, as receipts.

    receipts.jsonl --check whole--> Returned a line --> receipt (applied, failed)

A file is taken whole or not at all, and again is harmless. A line names kind, id, revision and outcome; a text of the
system's own is not taken over, as it may quote what it is about (Invariant 11).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from connectors.receipt import KafkaReceipts, Receipt, producer
from connectors.sink import KINDS
from streams.errors import InvalidInput
from streams.settings import Settings, need

SHOWN = 5
NOWHERE = -1
"""A file names a revision, not the record it came from."""


class Returned(msgspec.Struct, frozen=True):
    """One line. `code` is the system's own, dotted: `enrollment.npi_unknown`."""

    kind: str
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=r"^[\w.:-]+$")]
    revision: Annotated[int, msgspec.Meta(ge=0)]
    outcome: Literal["applied", "failed"]
    code: Annotated[str, msgspec.Meta(max_length=60, pattern=r"^[a-z_.]*$")] = ""


class Told(msgspec.Struct, frozen=True):
    """How many lines said what."""

    system: str
    applied: int
    failed: int


def tell(settings: Settings, system: str, file: Path) -> Told:
    """Write the receipts of a file; InvalidInput names its bad lines, and then none is written."""
    lines = read(system, file)
    kafka = need(settings.kafka, "CONCORD_KAFKA")
    topics = {kind: settings.topic(f"sink.{system}.{kind}") for kind in KINDS[system]}
    receipts = KafkaReceipts(producer(kafka), settings.topic("receipt"))
    at = datetime.now(UTC).isoformat()
    receipts.write(receipt(system, line, topics[line.kind], at) for line in lines)
    applied = sum(line.outcome == "applied" for line in lines)
    return Told(system, applied, len(lines) - applied)


def receipt(system: str, line: Returned, topic: str, at: str) -> Receipt:
    code = f"target.{line.outcome}" if line.outcome == "applied" else line.code or "target.value"
    message = "" if line.outcome == "applied" else "refused in a receipt file"
    subject = (system, line.kind, line.id, line.revision)
    return Receipt(*subject, code, message, topic, NOWHERE, NOWHERE, at, line.outcome)


def read(system: str, file: Path) -> list[Returned]:
    if system not in KINDS:
        raise InvalidInput("export.unknown", f"no views go to {system!r}", f"use one of: {', '.join(KINDS)}")
    try:
        text = file.read_bytes()
    except OSError as fault:
        raise InvalidInput("export.returned", f"{file}: {fault.strerror}", "check the file's name") from None
    found = list(_lines(system, text))
    if problems := [problem for problem in found if isinstance(problem, str)]:
        shown = "; ".join(problems[:SHOWN])
        step = (
            'a line is {"kind": ..., "id": ..., "revision": 7, "outcome": "applied" or "failed", "code": ...}'
        )
        raise InvalidInput("export.returned", f"{file}: {len(problems)} bad lines: {shown}", step)
    return [line for line in found if isinstance(line, Returned)]


def _lines(system: str, text: bytes) -> Iterator[Returned | str]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            found = msgspec.json.decode(line, type=Returned)
        except (msgspec.DecodeError, UnicodeDecodeError):
            yield f"line {number}"
            continue
        yield found if found.kind in KINDS[system] else f"line {number} (kind)"
