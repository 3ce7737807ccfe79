"""Everything in the quarantine, folded: one item a record, however often it was sent back or written again.

    topic quarantine --fold--> a private SQLite file that SQLite deletes --items--> whoever asks

A file, because millions of rows may be quarantined at once and memory is bounded: of a record it holds ids, codes
and places, never a value. Within a partition the topic's order decides: a mark handles what stands before it, so a
record that is quarantined anew after its mark is open again.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from confluent_kafka import KafkaException

from streams.errors import EnvironmentFault
from streams.operate import reading
from streams.operate.quarantine.prospect import Prospect, Prospects
from streams.operate.quarantine.record import Mark, Origin, Quarantined, read
from streams.settings import Settings, need

OPEN, REPLAYED, DISCARDED = "open", "replayed", "discarded"
STATES = (OPEN, REPLAYED, DISCARDED)
CACHE_KIB = 16 * 1024

Order = Literal["time", "origin"]

SCHEMA = """
create table attempt (
    topic text, partition integer, offset integer, first_offset integer,
    place_partition integer, place_offset integer,
    at_ms integer, code text, detail text, system text,
    kind text, id text, record text, row text, position text, still text,
    state text, by text, reason text, handled_ms integer,
    primary key (topic, partition, offset, place_partition)
) without rowid
"""
INSERT = """
insert or replace into attempt
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'open', '', '', 0)
"""
HANDLE = """
update attempt set state = ?, by = ?, reason = ?, handled_ms = ?
where topic = ? and partition = ? and offset = ? and place_partition = ?
"""
# An item is what its newest attempt is: SQLite takes the other columns from the row that has the maximum. Of two
# copies of one attempt (a record without a key that is written again may stand in two partitions) the open one counts.
ITEMS = """
select *, count(distinct offset) as attempts, max(2 * offset + (state = 'open'))
from attempt group by topic, partition, first_offset
"""
NAMED = """
select *, count(distinct offset) as attempts, max(2 * offset + (state = 'open')) from attempt
where topic = ? and partition = ? and first_offset =
    (select first_offset from attempt where topic = ? and partition = ? and offset = ?)
group by topic, partition, first_offset
"""
AS_STORED = (
    *("state", "code", "detail", "system", "kind", "id", "record", "row", "position", "still"),
    *("attempts", "by", "reason"),
)
BY_TIME = " order by at_ms, topic, partition, first_offset"
BY_ORIGIN = " order by topic, partition, first_offset"
ATTEMPTS = """
select *, 1 as attempts from attempt
where topic = ? and partition = ? and first_offset = ? order by offset, place_partition
"""


@dataclass(frozen=True, slots=True)
class Item:
    """One quarantined record, and what became of it. Names and positions only, never a value."""

    origin: str
    """topic/partition/offset it came from the first time: its name"""
    state: str
    code: str
    detail: str
    system: str
    kind: str
    id: str
    record: str
    row: str
    position: str
    at: str
    """when it was quarantined, the last time"""
    attempts: int
    """how often it was quarantined: once, and again each time it was sent back and was still bad"""
    latest: str
    """the origin of its newest attempt"""
    place: str
    """where that stands in the quarantine"""
    still: str
    """the code it would get again today; empty where nothing speaks against sending it back"""
    by: str
    reason: str
    handled_at: str


class Register:
    """The items of one reading of the topic; without prospects they are only counted."""

    def __init__(self, prospects: Prospects | None, topic: str) -> None:
        self._prospects, self._topic = prospects, topic
        # "": a file of its own, deleted when closed. Used by one thread at a time, not always the same.
        self._rows = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._rows.row_factory = sqlite3.Row
        self._rows.execute(f"pragma cache_size = -{CACHE_KIB}")
        self._rows.execute(SCHEMA)
        self._rows.execute("begin")
        self.strangers = 0
        """records that neither decide nor this command wrote"""

    def close(self) -> None:
        """Delete the file."""
        self._rows.close()

    def take(self, said: Quarantined | Mark | None) -> None:
        """The next record of its partition."""
        match said:
            case Quarantined():
                self._add(said)
            case Mark() if said.action in (REPLAYED, DISCARDED):
                origin = said.origin
                where = (origin.topic, origin.partition, origin.offset, said.place.partition)
                self._rows.execute(HANDLE, (said.action, said.by, said.reason, said.at_ms, *where))
            case _:
                self.strangers += 1

    def _add(self, found: Quarantined) -> None:
        origin, place = found.origin, found.place
        where = (origin.topic, origin.partition, origin.offset, found.first.offset)
        system = self._prospects.system(origin.topic) if self._prospects else ""
        what = (found.at_ms, found.code, found.detail, system)
        stands = (place.partition, place.offset)
        prospect = self._prospects.of(found) if self._prospects else Prospect()
        self._rows.execute(INSERT, (*where, *stands, *what, *prospect))

    def open_codes(self) -> Counter[str]:
        """How many items are neither replayed nor discarded, by code."""
        return Counter(row["code"] for row in self._rows.execute(ITEMS) if row["state"] == OPEN)

    def forget(self, partition: int, before: int) -> bool:
        """What stood before this offset of the quarantine's partition is gone; whether that was anything."""
        gone = "delete from attempt where place_partition = ? and place_offset < ?"
        return self._rows.execute(gone, (partition, before)).rowcount > 0

    def items(self, order: Literal["time", "origin"] = "time") -> Iterator[Item]:
        """Every item: by time, newest last, or in the order in which they first came."""
        for row in self._rows.execute(ITEMS + (BY_TIME if order == "time" else BY_ORIGIN)):
            yield self._item(row)

    def named(self, origin: Origin) -> Item | None:
        """The item that came from there, the first time or any other."""
        place = (origin.topic, origin.partition)
        row = self._rows.execute(NAMED, (*place, *place, origin.offset)).fetchone()
        return self._item(row) if row is not None else None

    def attempts(self, item: Item) -> list[Item]:
        """Each time it was quarantined, oldest first."""
        first = Origin.parse(item.origin)
        rows = self._rows.execute(ATTEMPTS, (first.topic, first.partition, first.offset))
        return [self._item(row) for row in rows]

    def _item(self, row: Any) -> Item:
        topic, partition = row["topic"], row["partition"]
        return Item(
            origin=str(Origin(topic, partition, row["first_offset"])),
            latest=str(Origin(topic, partition, row["offset"])),
            place=str(Origin(self._topic, row["place_partition"], row["place_offset"])),
            at=_time(row["at_ms"]),
            handled_at=_time(row["handled_ms"]),
            **{name: row[name] for name in AS_STORED},
        )


@contextmanager
def load(settings: Settings) -> Iterator[Register]:
    """The register of the topic as it is now."""
    kafka, topic = need(settings.kafka, "CONCORD_KAFKA"), settings.topic("quarantine")
    with closing(Register(Prospects(settings), topic)) as register:
        for message in reading.read(kafka, reading.beginnings(topic, partitions(kafka, topic))):
            register.take(read(message))
        yield register


def partitions(kafka: str, topic: str) -> range:
    """Asked first: whether there is a Kafka at all is known before anything is waited for."""
    with reading.consumer(kafka) as source:
        try:
            found = source.list_topics(topic, timeout=reading.TIMEOUT).topics[topic]
        except KafkaException as fault:
            message = f"no Kafka answers at {kafka}: {fault.args[0].str()}"
            step = "start it (python -m stack up) or correct CONCORD_KAFKA"
            raise EnvironmentFault("kafka.unreachable", message, step) from None
    if found.error is not None:
        raise EnvironmentFault(
            "kafka.topic_missing", f"topic {topic}: {found.error.str()}", "concord topics apply"
        )
    return range(len(found.partitions))


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1e3, UTC).isoformat(timespec="milliseconds") if ms else ""
