"""What diverges, told to the entities it belongs to: each row is a finding until a verification finds it equal.

    divergences that were not repaired, and those told the last time --clock--> the entity's partition --> finding

A row under a system's own id is told of the provider, location or organization it is linked to, so that whoever reads a
provider's findings sees it. A row of nobody we know is in the answer and in topic `verification` only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from typing import Any

from schemas.catalog import load_mapping
from streams.agents.control import Diverges, encode
from streams.core import entity as core_entity
from streams.operate.quarantine.send import Outgoing, Sender
from streams.operate.verify.entities import Entities
from streams.operate.verify.found import Divergence, Verified
from streams.placing import partition_of
from streams.settings import Settings

AT_MOST = 1_000
"""Findings of a table: more are one fault, which the answer tells."""


def tell(
    settings: Settings, entities: Entities, found: Sequence[Verified], before: Mapping[str, Mapping[str, Any]]
) -> None:
    """Open what diverges, close what was told before and no longer does; `before`: the tables' last records."""
    owners = _owners(entities, [each for table in found for each in table.standing[:AT_MOST]])
    records = [
        record
        for table in found
        for record in _of_table(settings, table, owners, set(before.get(table.name, {}).get("told", ())))
    ]
    if records:
        with closing(Sender(settings.kafka)) as sender:
            sender.send(records)


def _owners(entities: Entities, found: Iterable[Divergence]) -> dict[bytes, str]:
    """The entity each row is told of."""
    keys = {each.key for each in found}
    local = {key for key in keys if b"." in key.partition(b"/")[0]}
    owners = {key: key.decode() for key in keys}
    for key, value in entities.stored(local).items():
        link = core_entity.decode(value).link
        if link is not None and link.entity_id:
            kind = key.decode().partition("/")[0].partition(".")[2]
            owners[key] = f"{kind}/{link.entity_id}"
    return owners


def _of_table(
    settings: Settings, table: Verified, owners: Mapping[bytes, str], before: set[str]
) -> list[Outgoing]:
    rows: dict[str, dict[str, str]] = defaultdict(dict)
    for each in table.standing[:AT_MOST]:
        rows[owners[each.key]][each.row] = f"verify.{each.state}"
    table.told = sorted(rows)
    record = load_mapping(table.system).tables[table.table].record
    return [
        _said(settings, table.system, record, name, rows.get(name, {}))
        for name in sorted(before | rows.keys())
    ]


def _said(settings: Settings, system: str, record: str, name: str, rows: dict[str, str]) -> Outgoing:
    kind, _, entity_id = name.partition("/")
    place = settings.topic("clock"), partition_of(entity_id.encode(), settings.partitions)
    return Outgoing(*place, b"diverges", encode(Diverges(system, record, kind, entity_id, rows)), [])
