"""Where an entity lives: the worker that has its partition, else its partition of topic `entity`.

    KEY --names--> kind/id candidates --Finder--> Located(entity, where it was found)

A key is an NPI (followed to who holds it), a master id (uuid), or `kind/id`. Dead workers are skipped; without a
living one the topic is the truth anyway, only slower to read. Never changes anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self
from uuid import UUID

import httpx
from confluent_kafka import Message

from streams.agents.state import PartitionState
from streams.agents.state import decode as decode_state
from streams.core import entity as core
from streams.core.entity import Entity
from streams.errors import ConcordError, InvalidInput, Unavailable
from streams.operate import announced, reading
from streams.placing import STORED, partition_of
from streams.settings import Settings, need
from streams.trust import trusted

UUID_KINDS = ("provider", "organization", "location")
_NPI = re.compile(r"\d{10}").fullmatch
_NAMED = re.compile(r"[a-z_.]+/\S+").fullmatch


@dataclass(frozen=True, slots=True)
class Located:
    """An entity, and where it was read: `worker/<id>` or `entity[<partition>]@<offset>`."""

    entity: Entity
    where: str

    @property
    def name(self) -> str:
        """`kind/id`."""
        return f"{self.entity.kind}/{self.entity.id}"


class Unknown(ConcordError):
    """Nothing is known under this key (exit code 1)."""


def names(key: str) -> list[str]:
    """The `kind/id` names a key may stand for; InvalidInput when it has no known form."""
    text = key.strip()
    if _NPI(text):
        return [f"npi/{text}"]
    if _NAMED(text):
        return [text]
    try:
        return [f"{kind}/{UUID(text)}" for kind in UUID_KINDS]
    except ValueError:
        step = "give an NPI (10 digits), a master id (uuid), or kind/id such as location/<uuid>"
        raise InvalidInput("key.form", f"{text!r} is no key", step) from None


def holders(npi: Entity) -> list[str]:
    """Who holds this NPI now, as `kind/id`."""
    claims = npi.claims.get("platform", {}).get("holder", {})
    return sorted(row for row, claim in claims.items() if not claim.is_deleted)


class Finder:
    """Looks entities up during one command; asks who lives once.

    workers  who is known to live, where somebody keeps an eye on it: nobody is asked then, and no topic is read, so
             that an answer takes milliseconds; what no worker has open is Unavailable
    """

    def __init__(self, settings: Settings, workers: list[announced.Answer] | None = None) -> None:
        self._settings = settings
        self._kafka: str = need(settings.kafka, "CONCORD_KAFKA")
        self._workers = workers
        self._reads = workers is None
        self._client = httpx.Client(timeout=announced.PATIENCE, headers={"Accept": STORED}, verify=trusted())
        self._states: dict[int, PartitionState] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def find(self, key: str) -> list[Located]:
        """What a key stands for: one entity, or every holder of an NPI; Unknown when there is none."""
        found = self.get_many(names(key))
        if found and found[0].entity.kind == "npi":
            return self.get_many(holders(found[0].entity)) or found
        if not found:
            step = "check the key; a new row may not be captured yet (concord status)"
            raise Unknown("entity.unknown", f"nothing is known under {key!r}", step)
        return found

    def get_many(self, wanted: Iterable[str]) -> list[Located]:
        """Those of the named entities that exist, in the order asked."""
        order = list(dict.fromkeys(wanted))
        found = {name: located for name in order if (located := self._ask(name)) is not None}
        missing = [name for name in order if name not in found and not self._served(name)]
        found |= self._read(missing)
        return [found[name] for name in order if name in found]

    def as_of(self, entity_id: str) -> str:
        """The date that is today to decisions in the entity's partition; empty when nobody knows."""
        number = self._partition(entity_id)
        for worker in self.workers():
            for partition in worker.status["partitions"]:
                if partition["partition"] == number:
                    return str(partition["as_of"])
        if number not in self._states:
            self._states[number] = last_state(self._settings, number)
        return self._states[number].as_of

    def workers(self) -> list[announced.Answer]:
        """The workers that live."""
        if self._workers is None:
            self._workers = announced.answering(self._settings, "worker")
        return self._workers

    def _partition(self, entity_id: str) -> int:
        return partition_of(entity_id.encode(), self._settings.partitions)

    def _served(self, name: str) -> bool:
        """A living worker has the partition open: what it does not know does not exist."""
        number = self._partition(name.partition("/")[2])
        return any(p["partition"] == number for w in self.workers() for p in w.status["partitions"])

    def _ask(self, name: str) -> Located | None:
        for worker in self.workers():
            try:
                answer = self._client.get(f"{worker.party.url}/entity/{name}")
            except httpx.HTTPError:
                continue
            if answer.status_code == httpx.codes.OK and answer.headers.get("content-type") == STORED:
                return Located(core.decode(answer.content), worker.party.key)
        return None

    def _read(self, wanted: list[str]) -> dict[str, Located]:
        """From topic `entity`: one pass over the partitions the names belong to."""
        if wanted and not self._reads:
            step = "concord up starts one; concord explain reads the topic instead, which takes longer"
            raise Unavailable("entity.unserved", f"no worker has {wanted[0]} open", step)
        partitions = {self._partition(name.partition("/")[2]) for name in wanted}
        starts = reading.beginnings(self._settings.topic("entity"), partitions)
        keys = {name.encode() for name in wanted}
        found: dict[str, Message] = {}
        for message in reading.read(self._kafka, starts):
            if message.key() in keys:
                found[(message.key() or b"").decode()] = message
        return {name: _located(m) for name, m in found.items() if m.value() is not None}


def last_state(settings: Settings, partition: int) -> PartitionState:
    """The partition's own state as its topic has it: the last one stands near the end, so look there first."""
    place = (settings.topic("entity"), partition)
    key = f"partition/{partition}".encode()
    kafka = need(settings.kafka, "CONCORD_KAFKA")
    low, high = reading.ends(kafka, [place])[place]
    for back in (100, 10_000, high):
        start = max(low, high - back)
        found = [m.value() for m in reading.read(kafka, {place: start}) if m.key() == key]
        if found and found[-1] is not None:
            return decode_state(found[-1])
        if start == low:
            break
    return PartitionState()


def _located(message: Message) -> Located:
    where = f"{message.topic()}[{message.partition()}]@{message.offset()}"
    return Located(core.decode(message.value() or b""), where)
