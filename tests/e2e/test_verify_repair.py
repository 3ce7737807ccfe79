"""Verification and repair on the running platform: what is made to diverge behind its back is found, and repaired.

Behind its back: a source's tables are changed while they are not published, so that capture never hears of it; records
of topic `entity` are forged, as a lost or half written one would be. The tests share one platform and go in order.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from random import Random
from typing import Any

import psycopg
import pytest
from confluent_kafka import Producer
from msgspec import Raw
from msgspec.structs import replace

from schemas.catalog import load_mapping
from streams.core import canonical
from streams.core import entity as core_entity
from streams.core.verify import DIFFERENT, EXTRA, MISSING
from streams.operate import reading
from streams.operate.presence import presence
from streams.operate.verify import book
from streams.operate.verify.found import Verified
from streams.operate.verify.repair import Bounds, TooMany
from streams.operate.verify.run import verify_source
from streams.operate.verify.target import verify_target
from streams.placing import partition_of
from tests.fixtures.platform import Platform
from tests.fixtures.waiting import wait_until
from tests.meddling import ALTERED, published

pytestmark = pytest.mark.timeout(900)

COUNT = 60
EVERYTHING = Bounds(rows=10_000, share=1.0)
SYSTEMS = ("credentialing", "directory", "enrollment", "billing")


@pytest.fixture(scope="module")
def loaded(platform: Platform) -> Platform:
    # Who sees tables out of the publication and in it again has all of them repaired: ahead of the tests.
    platform.stop("guard")
    platform.ask("load", "generated", "--count", str(COUNT), "--seed", "11")
    quiet(platform)
    return platform


def quiet(platform: Platform) -> None:
    wait_until(lambda: presence(platform.settings).equal, 180, what="every system to hold every provider")
    wait_until(platform.quiet, 180, what="nothing to be pending")


def found(platform: Platform, names: Sequence[str] = SYSTEMS, **options: Any) -> list[Verified]:
    return verify_source(platform.settings, names, by="test", cause="test", **options)


def apart(tables: Sequence[Verified]) -> set[tuple[str, str, str]]:
    """(table, row, state) of everything that diverges."""
    return {(d.table, d.row, d.state) for table in tables for d in table.divergences}


# ---- behind the platform's back ----


@contextmanager
def unpublished(platform: Platform, system: str) -> Iterator[psycopg.Connection]:
    """The system's tables are changed here, and nobody is told: as after a DROP ... CASCADE, or a lost slot."""
    tables = [name for name, t in load_mapping(system).tables.items() if t.mode == "state"]
    with closing(platform.databases[system].connect()) as connection:
        lists = published(connection)
        connection.execute(f"alter publication concord drop table {', '.join(tables)}")
        try:
            with connection.transaction():
                connection.execute(
                    "set local session_replication_role = replica"
                )  # no triggers, no references
                yield connection
        finally:
            connection.execute(
                "alter publication concord add table "
                + ", ".join(f"{t} ({', '.join(lists[t])})" for t in tables)
            )


class Meddler:
    """Deletes, changes and adds random rows, and keeps the account."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self.done: set[tuple[str, str, str]] = set()

    def meddle(self, platform: Platform, system: str, each: int) -> None:
        """So many rows of every table with rows, each of them in one of three ways."""
        with unpublished(platform, system) as connection:
            for name, table in load_mapping(system).tables.items():
                if table.mode == "state":
                    self._table(connection, name, table.row, each)

    def _table(self, connection: psycopg.Connection, name: str, key: str, each: int) -> None:
        rows = [row for (row,) in connection.execute(f"select {key}::text from {name} order by 1")]
        for row in self._random.sample(rows, min(each, len(rows))):
            way = self._random.choice((self._delete, self._alter, self._add))
            way(connection, name, key, row)

    def _delete(self, connection: psycopg.Connection, name: str, key: str, row: str) -> None:
        connection.execute(f"delete from {name} where {key}::text = %s", [row])
        self.done.add((name, row, EXTRA))

    def _alter(self, connection: psycopg.Connection, name: str, key: str, row: str) -> None:
        if name in ALTERED:
            connection.execute(f"update {name} set {ALTERED[name]} where {key}::text = %s", [row])
            self.done.add((name, row, DIFFERENT))

    def _add(self, connection: psycopg.Connection, name: str, key: str, row: str) -> None:
        """A copy under an id of its own, where the table's own keys let one be."""
        new = "gen_random_uuid()" if len(row) == 36 else f"(select max({key}) + 100 from {name})"
        copied = f"""
            insert into {name} select (jsonb_populate_record(r, jsonb_build_object('{key}', {new}))).*
            from {name} r where {key}::text = %s on conflict do nothing returning {key}::text
        """
        for (added,) in connection.execute(copied, [row]).fetchall():
            self.done.add((name, added, MISSING))


class Forger:
    """Writes records of topic `entity` that no worker wrote."""

    def __init__(self, platform: Platform, system: str, record: str, kind: str = "provider") -> None:
        self._settings, self._system, self._record = platform.settings, system, record
        self._prefix = f"{kind}/".encode()
        self._producer = Producer({"bootstrap.servers": platform.settings.kafka})

    def entities(self) -> list[core_entity.Entity]:
        """Those that have rows of the record."""
        topic, partitions = self._settings.topic("entity"), range(self._settings.partitions)
        newest = reading.newest(self._settings.kafka, reading.beginnings(topic, partitions))
        decoded = [
            core_entity.decode(m.value() or b"") for k, m in newest.items() if k.startswith(self._prefix)
        ]
        return [e for e in decoded if any(not c.is_deleted for c in self.rows(e).values())]

    def rows(self, entity: core_entity.Entity) -> dict[str, core_entity.Claim]:
        return entity.claims.get(self._system, {}).get(self._record, {})

    def write(self, entity: core_entity.Entity, *, gone: bool = False) -> None:
        value = None if gone else core_entity.encode(entity)
        number = partition_of(entity.id.encode(), self._settings.partitions)
        key = f"{entity.kind}/{entity.id}".encode()
        self._producer.produce(self._settings.topic("entity"), value, key, number)
        assert self._producer.flush(30) == 0


# ---- the tests ----


def test_what_was_loaded_and_delivered_does_not_diverge(loaded: Platform) -> None:
    tables = found(loaded)
    assert apart(tables) == set()
    rows = {table.name: table.rows for table in tables}
    assert rows["credentialing.provider"] == COUNT
    assert rows["directory.dir_listing"] > 0
    targets = verify_target(loaded.settings)
    assert [(target.system, target.unheld) for target in targets] == [
        (system, []) for system in ("directory", "enrollment", "billing")
    ]
    assert all(target.equal >= COUNT / 2 for target in targets)


def test_one_table_of_one_system_is_verified_and_one_lost_row_repaired(loaded: Platform) -> None:
    """The thin path, by the command line: found, exit code 1; repaired, exit code 0; written down."""
    with unpublished(loaded, "credentialing") as connection:
        [(row,)] = connection.execute(
            "update license set expires = expires + 1 where license_id = (select min(license_id::text)::uuid from license)"
            " returning license_id::text"
        ).fetchall()
    answer = loaded.concord("verify", "source", "credentialing.license", "--json")
    assert answer.code == 1, answer.errors
    assert row in answer.text
    [repaired] = loaded.ask("verify", "source", "credentialing.license", "--repair", "--cause", "drill")
    assert [(d["row"], d["state"], d["columns"], d["repaired"]) for d in repaired["divergences"]] == [
        (row, DIFFERENT, ["expires"], True)
    ]
    assert apart(found(loaded, ["credentialing.license"])) == set()
    told = book.told(loaded.settings)
    [repair] = [said for key, said in told.items() if key.startswith("repair/")]
    assert (repair["state"], repair["cause"], repair["agree"], repair["different"]) == ("done", "drill", 1, 1)
    assert told["credentialing.license"]["different"] == 0


def test_a_divergence_is_a_finding_of_its_provider_until_it_is_repaired(loaded: Platform) -> None:
    with unpublished(loaded, "credentialing") as connection:
        [(row, person)] = connection.execute(
            "update license set status = 'probation' where license_id = (select max(license_id::text)::uuid from license)"
            " returning license_id::text, provider_id::text"
        ).fetchall()
    found(loaded, ["credentialing.license"])
    subject = f"license/{row}/credentialing"

    def told() -> bool:
        [entity] = loaded.ask("explain", f"provider/{person}")["entities"]
        return ("verify.different", subject) in [(f["code"], f["subject"]) for f in entity["findings"]]

    wait_until(told, 60, what="the finding")
    found(loaded, ["credentialing.license"], bounds=EVERYTHING)
    wait_until(lambda: not told(), 60, what="the finding to close")


def test_a_target_that_lost_its_rows_gets_its_views_again(loaded: Platform) -> None:
    wait_until(loaded.quiet, 180, what="nothing to be pending")
    query = """
        select listing_id, dir_provider_id from dir_listing where listed_to is null order by 1 limit 3
    """
    lost = loaded.rows("directory", query)
    with unpublished(loaded, "directory") as connection:
        connection.execute("delete from dir_listing where listing_id = any(%s)", [[row for row, _ in lost]])
        connection.execute(
            "update dir_provider set last_name = 'Meddled' where dir_provider_id = %s", [lost[0][1]]
        )
    [target] = verify_target(loaded.settings, ["directory"], bounds=EVERYTHING, by="test", cause="test")
    assert not target.diverges
    assert {("dir_listing", str(row), EXTRA) for row, _ in lost} <= apart(target.tables)
    wait_until(loaded.quiet, 180, what="the views to be applied")
    people = [person for _, person in lost]
    listed = "select count(distinct dir_provider_id) from dir_listing where listed_to is null and dir_provider_id = any(%s)"
    assert loaded.rows("directory", listed, people) == [(len(set(people)),)]
    assert loaded.rows("directory", "select count(*) from dir_provider where last_name = 'Meddled'") == [(0,)]
    [again] = verify_target(loaded.settings, ["directory"])
    assert not again.diverges


class Writing:
    """Changes rows as fast as asked, in transactions of twenty, until told to stop."""

    def __init__(self, dsn: str, rate: int) -> None:
        self._dsn, self._rate = dsn, rate
        self._stop = threading.Event()
        self.rows = 0

    @contextmanager
    def running(self) -> Iterator[Writing]:
        thread = threading.Thread(target=self._write)
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join()

    def _write(self) -> None:
        random = Random(5)
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            ids = [row for (row,) in connection.execute("select license_id from license")]
            while not self._stop.wait(20 / self._rate):
                chosen = random.sample(ids, min(20, len(ids)))
                connection.execute(
                    "update license set expires = coalesce(expires, current_date) + 1 where license_id = any(%s)",
                    [chosen],
                )
                self.rows += len(chosen)


def test_rows_in_flight_are_no_divergences_under_load(loaded: Platform) -> None:
    """A table of which every row changes ten times a second: nothing is reported, and what is lost meanwhile is."""
    with Writing(loaded.databases["credentialing"].dsn, rate=1_000).running() as writing:
        for _ in range(3):
            tables = found(loaded, ["credentialing"])
            assert apart(tables) == set()
    assert writing.rows > 1_000
    wait_until(loaded.quiet, 240, what="what was written to be decided")
    tables = found(loaded, ["credentialing"])
    assert (apart(tables), sum(table.unsettled for table in tables)) == (set(), 0)


def test_everything_that_was_meddled_with_in_every_system_is_found_and_repaired(loaded: Platform) -> None:
    """Master and targets, every table: rows deleted, changed and added while nothing was published."""
    quiet(loaded)
    meddler = Meddler(seed=7)
    for system in SYSTEMS:
        meddler.meddle(loaded, system, each=12)
    assert Counter(state for *_, state in meddler.done).keys() == {MISSING, EXTRA, DIFFERENT}
    tables = found(loaded, bounds=EVERYTHING)
    assert apart(tables) == meddler.done
    assert [d for table in tables for d in table.standing] == []
    wait_until(loaded.quiet, 180, what="what follows to be delivered")
    assert apart(found(loaded)) == set()


def test_forged_and_lost_records_of_the_state_are_found_and_written_anew(loaded: Platform) -> None:
    """The worker's own store knows better: what is read again makes it write the entity once more."""
    forger = Forger(loaded, "credentialing", "license")
    changed, lost, swollen = forger.entities()[:3]
    expected = set()
    row_id, claim = next((i, c) for i, c in forger.rows(changed).items() if not c.is_deleted)
    image = canonical.DECODE["license"](claim.held)
    forger.rows(changed)[row_id] = replace(
        claim, held=Raw(canonical.encode(replace(image, status="revoked")))
    )
    expected.add(("license", row_id, DIFFERENT))
    forger.write(changed)
    expected |= {("license", i, MISSING) for i, c in forger.rows(lost).items() if not c.is_deleted}
    forger.write(lost, gone=True)
    row_id, claim = next((i, c) for i, c in forger.rows(swollen).items() if not c.is_deleted)
    forger.rows(swollen)["00000000-0000-4000-8000-0000000000ff"] = claim
    expected.add(("license", "00000000-0000-4000-8000-0000000000ff", EXTRA))
    forger.write(swollen)
    tables = found(loaded, ["credentialing.license"], bounds=EVERYTHING)
    assert apart(tables) == expected
    assert all(d.repaired for table in tables for d in table.divergences)
    assert apart(found(loaded, ["credentialing"])) == set(), (
        "the rest of a lost record came back with its one row"
    )


def test_more_than_its_bounds_allow_is_not_repaired(loaded: Platform) -> None:
    with unpublished(loaded, "credentialing") as connection:
        connection.execute("update taxonomy set effective_to = coalesce(effective_to, current_date) + 1")
    with pytest.raises(TooMany) as caught:
        found(loaded, ["credentialing.taxonomy"], bounds=Bounds(rows=1_000, share=0.05, few=5))
    assert "credentialing.taxonomy" in caught.value.message
    assert len(apart(found(loaded, ["credentialing.taxonomy"]))) > 5, "nothing was touched"
    found(loaded, ["credentialing.taxonomy"], bounds=EVERYTHING)
    assert apart(found(loaded, ["credentialing.taxonomy"])) == set()
