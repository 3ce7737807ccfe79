"""Witnesses on a real Kafka: claims for known NPIs only, and for one that becomes known later."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from connectors.reference import follow, screen
from connectors.reference.sources import named
from connectors.reference.store import Folder
from connectors.reference.witness import Claim
from stack.environment import Environment
from streams.core.entity import encode
from streams.errors import Unavailable
from streams.placing import partition_of
from tests.adapters import records
from tests.fixtures.kafka import CreateTopic
from tests.fixtures.waiting import wait_until
from tests.published import EXCLUDED, GROUP, LEIE, NPPES, PERSON, take, text, write
from tests.strategies import decoded
from tests.world import entity_of, row

PROJECT = Path(__file__).parents[2]
PARTITIONS = 4
ANN, CLINIC, LATER = PERSON["NPI"], GROUP["NPI"], "2234567925"
NPIDATA = text(NPPES, PERSON, GROUP, {**PERSON, "NPI": LATER}, {**PERSON, "NPI": "2234567941"})


@dataclass(slots=True)
class Place:
    """A folder with NPPES loaded, and the three topics on the broker."""

    stack: Environment
    prefix: str
    folder: Folder
    files: Path
    producer: Producer
    announced: int = 0

    def announce(self, npi: str, entity_id: str, kind: str = "provider", holds: bool = True) -> None:
        """As decide does: in the partition of the NPI, with a position that rises."""
        self.announced += 1
        said = {"npi": npi, "kind": kind, "id": entity_id, "holds": holds, "position": [1, self.announced, 0]}
        self.producer.produce(f"{self.prefix}claims.npi", key=npi, value=msgspec.json.encode(said))
        assert self.producer.flush(30) == 0

    def load(self, source: str, content: str, **options: Any) -> None:
        take(self.folder, source, write(self.files / "file.csv", content), accept=True, **options)

    def publish(self, source: str = "nppes") -> Any:
        return follow.publish(self.folder, named(source), self.stack.kafka, self.prefix)

    def claims(self) -> list[tuple[str, Claim]]:
        """(key, claim) of the witnesses' rows, in the order of each partition."""
        return [(key, claim) for key, claim in self.told() if claim.record == claim.witness]

    def searches(self) -> dict[tuple[str, str], Any]:
        """(entity, witness) -> what its newest search is said to have found."""
        return {
            (key, claim.witness): (claim.values or {}).get("found")
            for key, claim in self.told()
            if claim.record == f"{claim.witness}_search"
        }

    def told(self) -> list[tuple[str, Claim]]:
        """(key, claim), in the order of each partition."""
        topic = f"{self.prefix}claims.witness"
        return [(k, msgspec.json.decode(v or b"", type=Claim)) for k, v in records(self.stack, topic)]

    def newest(self) -> dict[tuple[str, str, str], Claim]:
        """(entity, witness, row) -> its claim at the highest position."""
        found: dict[tuple[str, str, str], Claim] = {}
        for key, claim in self.claims():
            name = (key, claim.witness, claim.row)
            if name not in found or claim.position > found[name].position:
                found[name] = claim
        return found

    def says(self, entity_id: str, witness: str, row: str) -> Claim | None:
        return self.newest().get((entity_id, witness, row))


@pytest.fixture
def place(stack: Environment, topic: CreateTopic, topic_prefix: str, tmp_path: Path) -> Place:
    for name in ("claims.npi", "claims.witness", "entity"):
        topic(name, PARTITIONS)
    settings = {"bootstrap.servers": stack.kafka, "partitioner": "murmur2_random", "log_level": 0}
    made = Place(stack, topic_prefix, Folder(tmp_path / "reference"), tmp_path, Producer(settings))
    made.load("nppes", NPIDATA, as_of="2026-11-08")
    return made


@dataclass(slots=True)
class Following:
    """`concord reference follow`, as a process of its own."""

    process: subprocess.Popen[bytes]

    def alive(self) -> bool:
        return self.process.poll() is None

    def wait_for(self, condition: Callable[[], Any], what: str) -> Any:
        return wait_until(condition, 60, self.alive, what)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(20)


@contextmanager
def following(place: Place) -> Iterator[Following]:
    known = {
        "CONCORD_KAFKA": place.stack.kafka,
        "CONCORD_TOPIC_PREFIX": place.prefix,
        "CONCORD_REFERENCE_DIR": str(place.folder.path),
    }
    command = [sys.executable, "-m", "streams.cli", "reference", "follow", "--no-supervised"]
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(command, stderr=log, cwd=PROJECT, env={**os.environ, **known}) as process,
    ):
        try:
            yield Following(process)
        finally:
            process.kill()
            process.wait()
            log.seek(0)
            print(log.read())  # pytest shows it when the test fails


@pytest.fixture
def start(place: Place) -> Iterator[Callable[[], Following]]:
    with ExitStack() as running:
        yield lambda: running.enter_context(following(place))


def test_a_load_is_told_to_who_holds_an_npi_and_to_nobody_else(place: Place) -> None:
    place.announce(ANN, "ann")
    place.announce(CLINIC, "clinic", "organization")
    place.announce("1407071236", "unknown-to-nppes")
    told = place.publish()
    assert (told.holders, told.claims) == (3, 6), "a row and a search each"
    assert place.searches() == {
        ("ann", "nppes"): 1,
        ("clinic", "nppes"): 1,
        ("unknown-to-nppes", "nppes"): 0,
    }
    found = {(key, claim.kind, claim.row, claim.values is None) for key, claim in place.claims()}
    assert found == {
        ("ann", "provider", ANN, False),
        ("clinic", "organization", CLINIC, False),
        ("unknown-to-nppes", "provider", "1407071236", True),
    }
    said = place.says("ann", "nppes", ANN)
    assert said is not None
    assert said.values is not None
    assert (said.as_of, said.record, said.values["last_name"]) == ("2026-11-08", "nppes", "QUILLMERE")


def test_claims_stand_in_the_partition_of_their_entity(place: Place) -> None:
    for number in range(20):
        place.announce(ANN, f"entity-{number}")
    place.publish()
    consumer = Consumer({"bootstrap.servers": place.stack.kafka, "group.id": "nobody", "log_level": 0})
    topic = f"{place.prefix}claims.witness"
    consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
    found: dict[str, int] = {}

    def all_read() -> bool:
        for message in consumer.consume(100, 0.1):
            found[message.key().decode()] = message.partition()
        return len(found) == 20

    wait_until(all_read, what="20 claims")
    consumer.close()
    assert found == {key: partition_of(key.encode(), PARTITIONS) for key in found}


def test_telling_again_says_the_same_and_the_next_load_says_it_at_a_higher_position(place: Place) -> None:
    place.announce(ANN, "ann")
    place.publish()
    place.publish()
    assert len({claim.position for _, claim in place.claims()}) == 1
    before = place.says("ann", "nppes", ANN)
    place.load("nppes", NPIDATA.replace("ODALYS", "ODALIS"), as_of="2026-11-15")
    place.publish()
    after = place.says("ann", "nppes", ANN)
    assert before is not None
    assert after is not None
    assert after.values is not None
    assert after.position > before.position
    assert (after.as_of, after.values["first_name"]) == ("2026-11-15", "ODALIS")


def test_who_leaves_an_exclusion_list_is_told_null(place: Place) -> None:
    place.announce(ANN, "ann")
    place.load("leie", text(LEIE, EXCLUDED), as_of="2026-10-08")
    place.publish("leie")
    [hit] = [row for _, witness, row in place.newest() if witness == "leie"]
    place.load("leie", text(LEIE, {**EXCLUDED, "LASTNAME": "OTHER", "NPI": ""}), as_of="2026-11-08")
    place.publish("leie")
    gone = place.says("ann", "leie", hit)
    assert gone is not None
    assert (gone.values, gone.as_of) == (None, "2026-11-08")


def test_an_npi_that_becomes_known_later_is_told_what_all_witnesses_say(
    place: Place, start: Callable[[], Following]
) -> None:
    place.load("leie", text(LEIE, EXCLUDED), as_of="2026-11-08")
    running = start()
    place.announce(LATER, "later")
    said = running.wait_for(lambda: place.says("later", "nppes", LATER), "what NPPES says")
    running.wait_for(lambda: ("later", "leie") in place.searches(), "what LEIE says")
    assert place.searches()["later", "leie"] == 0
    assert said.values["nppes_npi"] == LATER
    place.announce(LATER, "later", holds=False)
    running.wait_for(lambda: _nulled(place.says("later", "nppes", LATER)), "null for who holds it no more")
    assert running.end() == 0


def _nulled(claim: Claim | None) -> bool:
    return claim is not None and claim.values is None


def test_killed_anywhere_nothing_is_missed_and_a_load_meanwhile_is_seen(
    place: Place, start: Callable[[], Following]
) -> None:
    running = start()
    for number in range(300):
        place.announce(ANN, f"entity-{number}")
    running.wait_for(place.claims, "the first claims")
    running.end(signal.SIGKILL)
    place.load("nppes", NPIDATA.replace("ODALYS", "ODALIS"), as_of="2026-11-15")
    for number in range(300, 400):
        place.announce(ANN, f"entity-{number}")
    place.publish()
    again = start()
    place.announce(ANN, "the-last")
    again.wait_for(lambda: place.says("the-last", "nppes", ANN), "the last claim")
    names = {(claim.values or {})["first_name"] for claim in place.newest().values()}
    assert names == {"ODALIS"}
    assert {key for key, _, _ in place.newest()} == {*(f"entity-{n}" for n in range(400)), "the-last"}
    assert again.end() == 0


def test_offsets_are_committed_for_what_is_told(
    place: Place, start: Callable[[], Following], kafka_admin: AdminClient
) -> None:
    running = start()
    for number in range(50):
        place.announce(ANN, f"entity-{number}")
    group = f"{place.prefix}{follow.GROUP}"
    wanted = ConsumerGroupTopicPartitions(group)

    def committed() -> int:
        [found] = kafka_admin.list_consumer_group_offsets([wanted]).values()
        return sum(max(p.offset, 0) for p in found.result(10).topic_partitions or [])

    running.wait_for(lambda: committed() == 50, "the offsets")
    assert len(place.newest()) == 50


def test_a_holder_whose_announcement_the_topic_no_longer_has_is_found_in_the_state(
    place: Place, kafka_admin: AdminClient
) -> None:
    place.announce(ANN, "ann")
    place.announce(LATER, "gone", holds=True)
    claim = [[1, 1, 0], 0, 0]
    npi = [
        "npi",
        ANN,
        0,
        {"platform": {"holder": {"provider/ann": [*claim, {"kind": "provider", "id": "ann"}]}}},
    ]
    other = ["npi", LATER, 0, {"platform": {"holder": {"provider/gone": [*claim, None]}}}]
    for held in (npi, other):
        partition = partition_of(str(held[1]).encode(), PARTITIONS)
        place.producer.produce(
            f"{place.prefix}entity", msgspec.msgpack.encode(held), f"npi/{held[1]}".encode(), partition
        )
    assert place.producer.flush(30) == 0
    topic = f"{place.prefix}claims.npi"
    ends = [TopicPartition(topic, number, -1) for number in range(PARTITIONS)]
    for future in kafka_admin.delete_records(ends).values():
        future.result(30)
    told = place.publish()
    assert (told.holders, {key for key, _, _ in place.newest()}) == (1, {"ann", "gone"})
    assert _nulled(place.says("gone", "nppes", LATER))


def test_without_topics_it_says_what_to_do(stack: Environment, topic_prefix: str, tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as fault:
        follow.publish(Folder(tmp_path / "reference"), named("nppes"), stack.kafka, topic_prefix)
    assert fault.value.next_step == "concord topics apply"


def test_a_topic_that_is_missing_is_waited_for(
    stack: Environment, topic: CreateTopic, topic_prefix: str, tmp_path: Path
) -> None:
    topic("claims.npi", PARTITIONS)
    settings = {"bootstrap.servers": stack.kafka, "partitioner": "murmur2_random", "log_level": 0}
    place = Place(stack, topic_prefix, Folder(tmp_path / "reference"), tmp_path, Producer(settings))
    place.load("nppes", NPIDATA, as_of="2026-11-08")
    place.announce(ANN, "ann")
    with following(place) as running:
        topic("claims.witness", PARTITIONS)
        running.wait_for(lambda: place.says("ann", "nppes", ANN), "the claim, once its topic is there")
        assert running.end() == 0


def test_a_screening_tells_by_name_and_birth_date_and_takes_back_what_no_longer_matches(place: Place) -> None:
    """Everybody in topic `entity`, by the newest state of each; asked again it says the same."""
    ids = {"provider_id": "provider-0"}

    def stored(born: str) -> None:
        root = row("provider", **ids, last_name="Quillmere", first_name="Odalys", dob=born)
        value = encode(entity_of(decoded([[root]])))
        place.producer.produce(f"{place.prefix}entity", key="provider/provider-0", value=value, partition=2)
        assert place.producer.flush(30) == 0

    def screened(at: float) -> screen.Screened:
        return screen.screen(place.folder, place.stack.kafka, place.prefix, PARTITIONS, now=lambda: at)

    place.load("leie", text(LEIE, {**EXCLUDED, "NPI": "0000000000"}), as_of="2026-11-08")
    stored("1970-01-01")
    assert (screened(1).people, screened(1).told) == (1, {"leie": 0})
    stored("1961-02-03")
    assert screened(2).told == {"leie": 1}
    assert screened(3).taken_back == 0
    [(_, _, row_id)] = [name for name in place.newest() if name[1] == "leie"]
    told = place.says("provider-0", "leie", row_id)
    assert told is not None
    assert told.values is not None
    stored("1970-01-01")
    assert screened(4).taken_back == 1
    taken_back = place.says("provider-0", "leie", row_id)
    assert taken_back is not None
    assert taken_back.values is None
