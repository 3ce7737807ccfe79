"""Open findings, counted by code, read from the compacted topic `finding`. Holds codes and paths, never values."""

from __future__ import annotations

import io
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import fastavro

from streams.errors import ConcordError
from streams.operate import reading
from streams.settings import Settings, need

HEAD = 5  # magic byte, schema id in four bytes
PATIENCE = 5.0
"""Seconds: a topic too long to read meanwhile gives no number rather than a wrong one."""


@dataclass(frozen=True, slots=True)
class OpenFindings:
    """How many are open; None with the reason when nobody can say."""

    total: int | None
    by_code: Mapping[str, int] = field(default_factory=dict)
    why: str = ""


def open_findings(settings: Settings) -> OpenFindings:
    """Count what is open."""
    try:
        codes = Counter(str(finding["code"]) for finding in read_open(settings))
    except ConcordError as fault:
        return OpenFindings(None, why=fault.message)
    except TimeoutError:
        return OpenFindings(None, why=f"topic finding takes longer than {PATIENCE:.0f} s to read")
    return OpenFindings(codes.total(), dict(codes.most_common()))


def read_open(settings: Settings) -> Iterator[Mapping[str, Any]]:
    """Every open finding."""
    kafka = need(settings.kafka, "CONCORD_KAFKA")
    starts = reading.beginnings(settings.topic("finding"), range(settings.partitions))
    newest: dict[bytes, bytes | None] = {}
    deadline = time.monotonic() + PATIENCE
    for message in reading.read(kafka, starts):
        newest[message.key() or b""] = message.value()
        if time.monotonic() > deadline:
            raise TimeoutError
    for value in newest.values():
        if value is not None and (finding := decode(value))["state"] != "closed":
            yield finding


def decode(value: bytes) -> Mapping[str, Any]:
    """A finding's record: wire header, then Avro of the schema this version knows."""
    found = fastavro.schemaless_reader(io.BytesIO(value[HEAD:]), _schema(), None)
    assert isinstance(found, dict)
    return found


@cache
def _schema() -> Any:
    return fastavro.parse_schema(json.loads((files("schemas") / "finding.v1.avsc").read_text("utf-8")))
