"""Open findings, read from the compacted topic `finding`: counted by code, and listed by who should act by when.

Holds codes and paths, never values.
"""

from __future__ import annotations

import io
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import fastavro
from confluent_kafka import Message

from schemas import registry
from streams.errors import ConcordError, InvalidInput, Unavailable
from streams.operate import reading
from streams.operate.reading import Onward
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


class Counting:
    """Open findings counted, for as long as somebody asks: who asks again reads only what is new."""

    def __init__(self, settings: Settings) -> None:
        starts = reading.beginnings(settings.topic("finding"), range(settings.partitions))
        self._onward = Onward(settings.kafka, starts)
        self._open: dict[int, str] = {}
        """hash of a finding's key -> its code: a million of them fit into memory"""
        self._codes: Counter[str] = Counter()

    def look(self) -> OpenFindings:
        """Count what is open."""
        try:
            self.take(self._onward.news())
        except ConcordError as fault:
            return OpenFindings(None, why=fault.message)
        except TimeoutError:
            return OpenFindings(None, why=f"topic finding takes longer than {PATIENCE:.0f} s to read")
        codes = self.codes()
        return OpenFindings(codes.total(), dict(codes.most_common()))

    def codes(self) -> Counter[str]:
        """How many are open, by code, of what was read."""
        return +self._codes

    def take(self, messages: Iterable[Message], patience: float = PATIENCE) -> None:
        """The next records of the topic; TimeoutError when they take too long."""
        deadline = time.monotonic() + patience
        for message in messages:
            if time.monotonic() > deadline:
                raise TimeoutError
            self._note(hash(message.key()), message.value())

    def _note(self, key: int, value: bytes | None) -> None:
        finding = decode(value) if value is not None else None
        if (before := self._open.pop(key, None)) is not None:
            self._codes[before] -= 1
        if finding is not None and finding["state"] != "closed":
            self._open[key] = code = sys.intern(str(finding["code"]))
            self._codes[code] += 1


@dataclass(frozen=True, slots=True)
class Listed:
    """Open findings, the ones that are due first in front; `total` counts those left out as well."""

    total: int
    findings: list[Mapping[str, Any]]


SEVERITIES = ("high", "medium", "low")


def listed(settings: Settings, code: str = "", actor: str = "", limit: int = 50) -> Listed:
    """Those of a code (or of a family of codes, `licence`) and of who should act."""
    try:
        found = [f for f in read_open(settings) if _is_of(f, code) and actor in ("", f["actor"])]
    except TimeoutError:
        message = f"topic finding takes longer than {PATIENCE:.0f} s to read"
        raise Unavailable("finding.too_many", message, "look at one entity: concord explain") from None
    found.sort(key=_urgency)
    return Listed(len(found), found[:limit])


def _is_of(finding: Mapping[str, Any], code: str) -> bool:
    return not code or finding["code"] == code or str(finding["code"]).startswith(f"{code}.")


def _urgency(finding: Mapping[str, Any]) -> tuple[str, int, str]:
    rank = SEVERITIES.index(finding["severity"]) if finding["severity"] in SEVERITIES else len(SEVERITIES)
    return finding["due"] or "~", rank, f"{finding['kind']}/{finding['entity_id']} {finding['code']}"


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
    """A finding's record: wire header, then Avro of the newest version that this body is long enough for."""
    newest, *older = _versions()
    body = value[HEAD:]
    for schema in (newest, *older):
        try:
            found = fastavro.schemaless_reader(io.BytesIO(body), schema, newest)
        except EOFError:  # an older version: it ends where the newer one's fields begin
            continue
        assert isinstance(found, dict)
        return found
    raise InvalidInput("finding.undecodable", "a record of topic finding is of no version known here")


@cache
def _versions() -> list[Any]:
    """Every version of the contract, newest first; each only appends fields."""
    found = [file for file in registry.schema_files() if file.topic == "finding"]
    return [fastavro.parse_schema(json.loads(file.text)) for file in reversed(found)]
