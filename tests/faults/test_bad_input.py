"""Bad input ends in the quarantine with its code, original bytes and headers; what comes after it flows on."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest
from confluent_kafka import Message, Producer

from tests.faults.bad_input import BAD, Bad, good
from tests.faults.conftest import StartLoad
from tests.faults.load import MARKABLE
from tests.faults.oracle import Oracle
from tests.faults.platform import MASTER, PARTITIONS, PREFIX, Platform
from tests.faults.reading import committed
from tests.faults.scene import Scene

CDC = f"{PREFIX}cdc.{MASTER}"
MARK = "test-mark"
LICENSE = """
select to_jsonb(l) from license l join taxonomy t using (license_id) where l.provider_id = %s and t.is_primary
"""
LARGE_DOCUMENT = """
select jsonb_agg(jsonb_build_object('code', 'x' || n, 'proficiency', md5(n::text))) from generate_series(1, 400) n
"""


def quarantined(platform: Platform) -> list[Message]:
    """Everything in the quarantine, committed."""
    return list(committed(platform.stack.kafka, "quarantine"))


def headers(message: Message) -> dict[str, bytes]:
    return {name: value for name, value in message.headers() or [] if isinstance(value, bytes)}


def marked(platform: Platform, mark: str) -> list[Message]:
    return [m for m in quarantined(platform) if headers(m).get(MARK) == mark.encode()]


def coded(platform: Platform, code: str) -> list[Message]:
    return [m for m in quarantined(platform) if headers(m).get("concord-code") == code.encode()]


def somebody(platform: Platform, number: int) -> str:
    with platform.master.connect() as connection:
        return str(connection.execute(MARKABLE).fetchall()[number][0])


def license_of(platform: Platform, who: str) -> dict[str, Any]:
    """The row as Debezium would deliver it."""
    with platform.master.connect() as connection:
        found = connection.execute(LICENSE, [who]).fetchone()
        assert found is not None
        row: dict[str, Any] = found[0]
    return {**row, "issued": f"{row['issued']}Z", "expires": f"{row['expires']}Z"}


def write(platform: Platform, key: bytes, value: bytes | None, mark: str) -> None:
    largest = 16 * 1024 * 1024
    settings = {"bootstrap.servers": platform.stack.kafka, "partitioner": "murmur2_random"}
    producer = Producer({**settings, "message.max.bytes": largest, "log_level": 0})
    producer.produce(CDC, value, key, headers=[("concord-epoch", b"1"), (MARK, mark.encode())])
    assert producer.flush(30) == 0


@pytest.fixture
def mark(request: pytest.FixtureRequest) -> str:
    """What this test's records are known by."""
    return str(request.node.name)


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_it_ends_in_the_quarantine_as_it_came_with(
    bad: Bad, platform: Platform, oracle: Oracle, mark: str
) -> None:
    who = somebody(platform, 5)
    key, value = bad.key or who.encode(), bad.spoil(good(1, license_of(platform, who)))
    write(platform, key, value, mark)

    [message] = platform.wait(lambda: marked(platform, mark), "the record in the quarantine")
    assert (message.key(), message.value()) == (key, value)
    said = headers(message)
    assert said["concord-code"].decode() == bad.code
    assert said["concord-epoch"] == b"1"
    assert said["concord-origin"].decode().startswith(f"{CDC}/")
    oracle.lives()


def test_bad_input_among_good_under_load_stops_nobody(
    platform: Platform, oracle: Oracle, load: StartLoad, mark: str
) -> None:
    with load() as writing:
        scene = Scene(platform, oracle, writing)
        for bad in BAD:
            who = somebody(platform, 5)
            value = bad.spoil(good(1, license_of(platform, who)))
            write(platform, bad.key or who.encode(), value, mark)
            scene.transactions(2)
    platform.wait(lambda: len(marked(platform, mark)) == len(BAD), "all of it in the quarantine")
    oracle.judge()


def test_what_follows_bad_input_flows_on_and_every_outcome_is_counted(oracle: Oracle) -> None:
    oracle.judge()


def test_a_record_in_the_wrong_partition_is_quarantined(platform: Platform, mark: str) -> None:
    """A producer with another partitioner would split an entity between two stores."""
    who = "00000000-0000-4000-8000-0000000000bb"
    row = {**license_of(platform, somebody(platform, 5)), "provider_id": who}
    producer = Producer({"bootstrap.servers": platform.stack.kafka, "log_level": 0})
    for partition in range(PARTITIONS):
        value = json.dumps(good(1, row)).encode()
        producer.produce(
            CDC, value, who.encode(), partition, headers=[("concord-epoch", b"1"), (MARK, mark.encode())]
        )
    assert producer.flush(30) == 0
    platform.wait(lambda: len(marked(platform, mark)) == PARTITIONS - 1, "three of four in the quarantine")
    assert {headers(m)["concord-code"] for m in marked(platform, mark)} == {b"change.partition_wrong"}


def test_a_truncate_is_quarantined_and_deletes_nothing(platform: Platform, oracle: Oracle) -> None:
    with platform.master.connect() as connection:
        connection.execute("truncate malpractice_claim")
    platform.wait(lambda: coded(platform, "change.truncated"), "the truncate in the quarantine")
    oracle.judge()


def test_a_changed_primary_key_of_a_child_row_is_another_row(platform: Platform, oracle: Oracle) -> None:
    who = somebody(platform, 6)
    change = "update provider_location set id = gen_random_uuid() where provider_id = %s"
    with platform.master.connect() as connection:
        assert connection.execute(change, [who]).rowcount
    oracle.judge()


def test_a_row_that_moves_to_another_provider_is_gone_from_the_first(
    platform: Platform, oracle: Oracle
) -> None:
    first, second = somebody(platform, 6), somebody(platform, 7)
    # Each from a day that no other row has: the load may have put both at one location today.
    change = """
    with moved as (
        select id, (select min(effective_from) from provider_location) - row_number() over (order by id)::int as day
        from provider_location where provider_id = %s
    )
    update provider_location set provider_id = %s, effective_from = day from moved where provider_location.id = moved.id
    """
    # There and back, so that nobody runs out of rows however often the ring is played.
    for giver, taker in ((first, second), (second, first)):
        with platform.master.connect() as connection:
            assert connection.execute(change, [giver, taker]).rowcount
        oracle.judge()


def test_an_unchanged_large_value_is_kept(platform: Platform, oracle: Oracle) -> None:
    """PostgreSQL does not log it again; the placeholder must reach nobody."""
    who = somebody(platform, 8)
    with psycopg.connect(platform.master.dsn, autocommit=True) as connection:
        grow = f"update provider set languages = ({LARGE_DOCUMENT}) where provider_id = %s"
        connection.execute(grow, [who])
        oracle.conserved()
        connection.execute("update provider set degree = 'DO' where provider_id = %s", [who])
    oracle.judge()
