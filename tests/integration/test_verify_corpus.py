"""One text a type on both sides: what PostgreSQL hashes of a row, and what the platform hashes of a record of it.

Every table that a verification reads gets rows with the values that are written in more than one way: read by the
initial snapshot, streamed, and read by the platform itself (connectors/reread). The hashes must be PostgreSQL's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient

from connectors import checksum, reread, sources
from connectors.connect import Connect
from connectors.envelope import Message
from connectors.reread import Reader
from connectors.source import Names
from connectors.sources import Source
from schemas.tables import decoders, mapped_tables
from stack.environment import Environment
from streams import topics
from streams.core import entity as core_entity
from streams.core.change import Change
from streams.core.entity import Entity, aggregate
from streams.core.verify import Hash, Name, Shape, Shapes
from tests.fixtures.databases import Database, NewDatabase
from tests.fixtures.waiting import wait_until

PERSON = "00000000-0000-4000-8000-{:012d}"
ODD = "Zoë 😀 \"quoted\" \\back\\ 'tick'\n\ttab \x1f\x7f "
TEXTS = ["", " ", "a", ODD, "-", "1:a", "x" * 3000]
DOCUMENTS = [
    "[]",
    "{}",
    "null",
    '"text"',
    '{"bb": 1, "a": [true, false, null], "é": {"z": "\\u0001\\b\\f", "y": "/"}}',
    '[{"code": "en"}, 9223372036854775807, -1, 0]',
]
MOMENTS = [
    "1970-01-01 00:00:00Z",
    "1969-12-31 23:59:59.999999Z",
    "2026-11-22 14:00:00.5+02",
    "2026-11-22 14:00:00.123456-05:30",
    "2026-03-29 02:30:00 Europe/Berlin",
    "0001-01-01 00:00:00Z",
    "9999-12-31 23:59:59.999999Z",
    "infinity",
    "-infinity",
    "0044-03-15 12:00:00Z BC",
    "20000-01-01 00:00:00Z",
]
DATES = ["0001-01-01", "1900-02-28", "2024-02-29", "9999-12-31"]
DECIMALS = ["0", "0.00", "1.50", "1000000", "100", "0.000000000001", "123456789012345678901234567890.5"]
COORDINATES = ["0", "-0.5", "41.881000", "-87.623200", "90"]
LISTS = ["{}", "{NULL}", '{"a,b","\\"q\\"",é,""}', "{II,IIN,III}"]


def padded(values: list[str], count: int) -> list[str | None]:
    """As many as there are rows, null at the end."""
    return [*values, *[None] * (count - len(values))]


@pytest.fixture
def source(
    stack: Environment, database: NewDatabase, kafka_admin: AdminClient, topic_prefix: str
) -> Iterator[Callable[[str], tuple[Source, Database]]]:
    started: list[Source] = []

    def at(system: str) -> tuple[Source, Database]:
        mine = [t for t in topics.CATALOGUE if t.name.endswith(system) or t.name.startswith(system)]
        topics.apply(kafka_admin, topics.Layout(partitions=1, prefix=topic_prefix), mine)
        found = database(system)
        started.append(Source(Names(system, topic_prefix), found.capture, stack.capture_address))
        return started[-1], found

    yield at
    with Connect(stack.connect) as connect:
        for each in started:
            connect.stop(each.names.connector)
            connect.forget_offset(each.names.connector)
            connect.delete(each.names.connector)


def credentialing(run: Callable[..., Any], start: int) -> None:
    """Rows of every type, a dozen of each table."""
    count = 11
    names, documents, moments = padded(TEXTS, count), padded(DOCUMENTS, count), padded(MOMENTS, count)
    dates, decimals, lists = padded(DATES, count), padded(DECIMALS, count), padded(LISTS, count)
    places = padded(COORDINATES, count)
    for n in range(count):
        person = PERSON.format(start + n)
        run(
            "insert into provider (provider_id, first_name, last_name, dob, sex, languages, row_version, updated_at)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s)",
            person, names[n], ODD, dates[n], ["M", None][n % 2], documents[n] or "[]", 2**62 + n, moments[n] or "now",
        )  # fmt: skip
        run(
            "insert into license (provider_id, state, license_type, number, issued, expires, disciplinary_flag)"
            " values (%s, %s, 'MD', %s, %s, %s, %s)",
            person, ["IL", "A"][n % 2], names[n] or "0123", dates[n], None, bool(n % 2),
        )  # fmt: skip
        run(
            "insert into malpractice_coverage (provider_id, carrier, per_occurrence, aggregate) values (%s, %s, %s, %s)",
            person, names[n] or "x", decimals[n], n,
        )  # fmt: skip
        run(
            "insert into dea_registration (provider_id, number, schedules) values (%s, %s, %s)",
            person, f"{n}", lists[n] or "{}",
        )  # fmt: skip
        run(
            "insert into practice_location (name, latitude, longitude, geocoded_at, hours, accessibility)"
            " values (%s, %s, %s, %s, %s, %s)",
            names[n], places[n], places[-n], moments[n], documents[n] or "[]", lists[n] or "{}",
        )  # fmt: skip


def directory(run: Callable[..., Any], start: int) -> None:
    count = 8
    names, documents = padded(TEXTS[:6], count), padded(DOCUMENTS, count)
    places, lists = padded(COORDINATES, count), padded(LISTS, count)
    for n in range(count):
        run(
            "insert into dir_location (loc_name, state_cd, zip5, zip4, phone10, url, lat, lon, ada, hours)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            names[n], ["IL", "A", None][n % 3], "60601", ["1", None][n % 2], "312555" if n % 2 else None, names[-n],
            places[n], places[-n], documents[n] or "[]", documents[-n] or "[]",
        )  # fmt: skip
        run(
            "insert into dir_provider (display_name, last_name, gender, langs, cred_provider_ref)"
            " values (%s, %s, %s, %s, %s)",
            names[n], ODD, None, lists[n] or "{}", PERSON.format(start + n) if n % 2 else None,
        )  # fmt: skip
        run(
            "insert into dir_network (payer_name, plan_name, network_name) values (%s, %s, %s)",
            f"payer {start} {n}", names[n], ODD,
        )  # fmt: skip


SYSTEMS = {"credentialing": credentialing, "directory": directory}


@pytest.mark.parametrize("system", SYSTEMS)
def test_both_sides_hash_every_row_alike_read_or_streamed(
    stack: Environment,
    source: Callable[[str], tuple[Source, Database]],
    unique: Callable[[str], str],
    system: str,
) -> None:
    captured, database = source(system)
    with closing(database.connect()) as connection:
        SYSTEMS[system](lambda query, *values: connection.execute(query, values), 100)
        with Connect(stack.connect) as connect:
            sources.apply(connect, stack.kafka, [captured])
            wait_until(
                lambda: sources.snapshot_finished(connect, captured.names.connector), 60, what="the snapshot"
            )
        SYSTEMS[system](lambda query, *values: connection.execute(query, values), 200)
    shapes = [
        Shape(n, system, t, local=False) for n, t in enumerate(mapped_tables(system)) if t.mode == "state"
    ]
    theirs = in_source(captured, shapes)
    ours = held(stack.kafka, captured, shapes, unique("read"), sum(map(len, theirs.values())))
    for shape in shapes:
        apart = {name for name in ours[shape.number].keys() | theirs[shape.number].keys()
                 if ours[shape.number].get(name) != theirs[shape.number].get(name)}  # fmt: skip
        assert apart == set(), f"{shape.name}: {differing(captured, shape, apart)}"
    for shape, rows in zip(shapes, reread_rows(captured, shapes), strict=True):
        apart = {name for name in theirs[shape.number] if rows.get(name) != theirs[shape.number][name]}
        assert apart == set(), f"{shape.name}, read again: {differing(captured, shape, apart)}"


def test_a_range_has_as_many_rows_as_it_is_to_have_in_the_order_of_numbers(database: NewDatabase) -> None:
    """By their texts 10 stands before 2; and to order by a text is to read the whole table for each range."""
    captured = database("directory")
    with closing(captured.connect()) as connection:
        connection.execute("truncate dir_network cascade")
        connection.execute(
            "insert into dir_network (network_id, payer_name, network_name)"
            " select n, 'payer ' || n, 'all' from generate_series(1, 25) n"
        )
    [table] = [table for table in mapped_tables("directory") if table.name == "dir_network"]
    with checksum.reading(captured.dsn) as connection:
        found = list(checksum.Checksums(connection, table, share=1.0).ranges(10))
    assert [(each.until, each.sum.count) for each in found] == [("10", 10), ("20", 10), (None, 5)]


def reread_rows(captured: Source, shapes: list[Shape]) -> Iterator[dict[Name, Hash]]:
    """What claims of the platform's own records would be hashed to, of rows looked up and of rows in their order."""
    with checksum.reading(captured.dsn) as connection:
        for shape in shapes:
            reader, rows, last = Reader(connection, shape.table), list[reread.Row](), None
            while some := reader.after(last, 3):
                rows += some
                last = str(some[-1][shape.table.row])
            looked_up = reader.named(str(row[shape.table.row]) for row in rows)
            assert len(looked_up) == len(rows)
            assert all(row in rows for row in looked_up.values())
            log = reread.log(captured.names.system, 1)
            yield hashed([reread.said(log, shape.table.name, row, 1) for row in rows], captured, shape)


def hashed(messages: list[Message], captured: Source, shape: Shape) -> dict[Name, Hash]:
    decoder = decoders([captured.names.system])[captured.names.system]
    KEPT.clear()
    for message in messages:
        said = decoder.decode(*message)
        assert isinstance(said, Change), said
        aggregate(KEPT.setdefault(message[0], Entity(said.kind, said.entity_id)), said)
    every = Shapes([shape])
    return {
        (entity.id, row): hash_
        for entity in KEPT.values()
        for _, row, hash_ in every.rows(core_entity.encode(entity))
    }


def in_source(captured: Source, shapes: list[Shape]) -> dict[int, dict[Name, Hash]]:
    """By ranges of three rows, so that ranges are tried too; their sums must be those of their rows."""
    found: dict[int, dict[Name, Hash]] = {}
    with checksum.reading(captured.dsn) as connection:
        for shape in shapes:
            checks = checksum.Checksums(connection, shape.table, share=1.0)
            rows: dict[Name, Hash] = {}
            for part in checks.ranges(3):
                within = checks.within(part)
                assert (part.sum.count, part.sum.total) == (len(within), sum(within.values()))
                assert not within.keys() & rows.keys()
                rows |= within
            assert checks.named(row for _, row in rows) == rows
            found[shape.number] = rows
    return found


KEPT: dict[bytes, Entity] = {}


def held(
    kafka: str, captured: Source, shapes: list[Shape], group: str, count: int
) -> dict[int, dict[Name, Hash]]:
    """What claims of the captured records would be hashed to."""
    decoder = decoders([captured.names.system])[captured.names.system]
    KEPT.clear()
    rows: set[tuple[str, str, str]] = set()
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": group, "auto.offset.reset": "earliest"})
    with closing(consumer):
        consumer.subscribe([captured.names.topic])

        def complete() -> bool:
            for message in consumer.consume(100, 0.1):
                said = decoder.decode(message.key(), message.value(), message.headers() or [])
                assert isinstance(said, Change), said
                key = f"{said.kind}/{said.entity_id}".encode()
                aggregate(KEPT.setdefault(key, Entity(said.kind, said.entity_id)), said)
                rows.add((said.entity_id, said.record, said.row_id))
            return len(rows) >= count

        wait_until(complete, 60, what=f"{count} rows")
    every, found = Shapes(shapes), {shape.number: dict[Name, Hash]() for shape in shapes}
    for entity in KEPT.values():
        for number, row, hash_ in every.rows(core_entity.encode(entity)):
            found[number][entity.id, row] = hash_
    return found


def differing(captured: Source, shape: Shape, apart: set[Name]) -> Any:
    """Invented rows: their texts may be shown."""
    with checksum.reading(captured.dsn) as connection:
        theirs = checksum.Checksums(connection, shape.table).columns(row for _, row in apart)
    told = []
    for name in sorted(apart):
        value = next((core_entity.encode(e) for e in KEPT.values() if e.id == name[0]), None)
        claim = shape.claim(value, name[1]) if value else None
        ours = shape.texts(claim) if claim else []
        told.append([(c.name, a, b) for c, a, b in zip(shape.table.columns, ours, theirs.get(name, []), strict=False) if a != b])  # fmt: skip
    return told
