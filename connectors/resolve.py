"""Between view and rows: what is newer, what is ready, whose row is whose.

    requests + what the target holds --> rows of concord_applied, concord_pending and the child tables

Pure: relational.py asks the database and runs the statements, this decides what goes into them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from connectors.sink import Request, Row, View
from connectors.table import Children


@dataclass(frozen=True, slots=True)
class Held:
    """What the target knows of an entity: applied revision with local id, and deferred revision."""

    local_id: str | None = None
    revision: int = -1
    deferred: int = -1

    def admits(self, view: View) -> bool:
        return view.revision > self.revision and view.revision >= self.deferred


def ready_or_waiting(
    requests: Iterable[Request], there: Mapping[str, int]
) -> tuple[list[Request], list[tuple[Request, str]]]:
    """A view waits whole: half a provider is worse than yesterday's."""
    ready: list[Request] = []
    waiting: list[tuple[Request, str]] = []
    for request in requests:
        missing = sorted(request.needs - there.keys())
        if missing:
            waiting.append((request, missing[0]))
        else:
            ready.append(request)
    return ready, waiting


def matched(
    keys: Iterable[str], npis: Mapping[str, str], rows: Sequence[tuple[int, str | None, str | None]]
) -> dict[str, int]:
    """Entities to existing rows: by cross reference first; a row found by NPI serves one entity only."""
    by_reference = {reference: local_id for local_id, reference, _ in reversed(rows) if reference}
    by_npi = {npi: local_id for local_id, reference, npi in reversed(rows) if npi and not reference}
    ids: dict[str, int] = {}
    for key in keys:
        local_id = by_reference.get(key) or by_npi.pop(npis.get(key, ""), None)
        if local_id is not None:
            ids[key] = local_id
    return ids


def wanted(
    below: Children, requests: Iterable[Request], ids: Mapping[str, int], there: Mapping[str, int]
) -> list[Row]:
    """The child rows with the target's own ids; two references to one row are one wanted row."""
    rows: dict[tuple[Any, ...], Row] = {}
    for request in requests:
        for child in request.children:
            row = {**child, below.parent: ids[request.view.entity_id]}
            row |= {link: there[child[link]] for link in below.links}
            rows.setdefault(tuple(row[name] for name in (below.parent, *below.key)), row)
    return list(rows.values())


def applied_row(view: View, ids: Mapping[str, int]) -> Row:
    return {
        "entity_id": view.entity_id,
        "local_id": str(ids[view.entity_id]),
        "revision": view.revision,
        "view_hash": view_hash(view),
    }


def view_hash(view: View) -> str:
    """Equal for equal content, whatever the revision: an asserted-again view has the hash of the first."""
    content = {name: value for name, value in view.content.items() if name != "revision"}
    return hashlib.blake2b(msgspec.json.encode(content, order="sorted"), digest_size=16).hexdigest()


def freeze(view: View, waits_for: str) -> Row:
    """A deferred view as a row of concord_pending; where it came from is kept for its receipt."""
    source = {"topic": view.topic, "partition": view.partition, "offset": view.offset}
    source |= {"committed_us": view.committed_us, "position": view.position}
    frozen = {"content": view.content, "source": source}
    return {
        "entity_id": view.entity_id,
        "revision": view.revision,
        "view": frozen,
        "waits_for": waits_for,
    }


def thaw(kind: str, entity_id: str, revision: int, frozen: Row) -> View:
    return View(kind, str(entity_id), revision, frozen["content"], **frozen["source"])


def text(rows: Sequence[Row]) -> str:
    return msgspec.json.encode(rows).decode()
