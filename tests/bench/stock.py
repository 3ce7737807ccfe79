"""Stock Faust doing the same work: `kafka://`, one event at a time, `await topic.send`.

    python -m tests.bench.stock --topic TOPIC --group GROUP [--once]

The yardstick of experiment b. Same broker, same records, same core calls, same encoders, same sinks. What it leaves
out is to its advantage: its state lives in a dict (lost on exit, no changelog), nothing is transactional, a failed
send goes unseen. It begins with the entities and references the real worker left, as if it had restored a table.

`--once` decides a provider when the next transaction begins, as the worker does, rather than after each row.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import faust
import typer

from schemas import tables
from schemas.authority import load_authority
from streams import app as composition
from streams import codec
from streams import settings as configuration
from streams.core import entity as core_entity
from streams.core.advance import Emission, World, advance, decide
from streams.core.change import Change
from streams.core.entity import Entity, Golden, decode_golden
from streams.operate import reading
from streams.settings import Settings


class Stock:
    """The state and the calls of the app below."""

    def __init__(self, settings: Settings) -> None:
        self.decoder = tables.decoders(("credentialing",))["credentialing"]
        self.encoders = composition.encoders(settings)
        self.entities = entities(settings)
        references = goldens(settings)
        today = datetime.now(UTC).date().isoformat()
        self.world = World(load_authority(), lambda kind, name: references.get(f"{kind}/{name}"), today)
        self._open: dict[int, tuple[int, dict[str, Entity]]] = {}

    def advance(self, event: Any) -> Change:
        """Decode the record and aggregate it."""
        message = event.message
        change = self.decoder.decode(message.key, message.value, message.headers)
        assert isinstance(change, Change), change
        name = f"{change.kind}/{change.entity_id}"
        entity = self.entities.setdefault(name, Entity(change.kind, change.entity_id))
        advance(entity, change, int(message.timestamp * 1e6))
        return change

    def ended(self, partition: int, change: Change) -> Iterable[Entity]:
        """The entities whose transaction this change's own shows to be over in its partition."""
        prior, touched = self._open.get(partition, (0, {}))
        over: list[Entity] = []
        if change.position[1] != prior:
            over, touched = list(touched.values()), {}
            self._open[partition] = (change.position[1], touched)
        name = f"{change.kind}/{change.entity_id}"
        touched[name] = self.entities[name]
        return over

    def decide(self, entity: Entity) -> list[tuple[Emission, bytes, dict[str, Any]]]:
        """(emission, wire bytes, headers) of every view that changed."""
        touch, now = entity.dirty, time.time_ns() // 1000
        assert touch is not None
        emissions = decide(entity, self.world, now).emissions
        if not emissions:
            return []
        said = datetime.fromtimestamp(now / 1e6, UTC).isoformat()
        shared = codec.decision_headers(emissions[0], touch.position, touch.committed_us, said)
        return [(e, self.encoders.view(e), dict(codec.view_headers(shared, e))) for e in emissions]


def application(
    settings: Settings, stock: Stock, topic: str, group: str, folder: str, *, once: bool
) -> faust.App:
    """An app as Faust's guide writes it."""
    app = faust.App(
        group,
        broker=f"kafka://{settings.kafka}",
        value_serializer="raw",
        key_serializer="raw",
        topic_allow_declare=False,
        topic_disable_leader=True,
        table_standby_replicas=0,
        broker_commit_interval=1.0,
        web_enabled=False,
        datadir=folder,
    )
    kinds = [(sink, "provider") for sink in ("directory", "enrollment", "billing")]
    sinks = {
        (sink, kind): app.topic(
            settings.topic(f"sink.{sink}.{kind}"), value_serializer="raw", key_serializer="raw"
        )
        for sink, kind in kinds
    }

    async def send(entity: Entity) -> None:
        for emission, value, headers in stock.decide(entity):
            sink = sinks[emission.sink, emission.kind]
            encoded = {name: str(text).encode() for name, text in headers.items()}
            await sink.send(key=entity.id.encode(), value=value, headers=encoded)

    async def take(event: Any) -> None:
        change = stock.advance(event)
        if once:
            for entity in stock.ended(event.message.partition, change):
                await send(entity)
        else:
            await send(stock.entities[f"{change.kind}/{change.entity_id}"])

    @app.agent(app.topic(topic, value_serializer="raw", key_serializer="raw"))  # type: ignore[untyped-decorator]
    async def work(stream: Any) -> None:
        async for event in stream.events():
            try:
                await take(event)
            except Exception:  # Faust would skip the event and go on: a figure of skipped work is none
                logging.exception("stock app failed")
                os._exit(1)

    return app


def entities(settings: Settings) -> dict[str, Entity]:
    """The newest state of every entity, by `kind/id`."""
    stored = newest(settings, "entity")
    return {k: core_entity.decode(v) for k, v in stored.items() if not k.startswith("partition/")}


def goldens(settings: Settings) -> dict[str, Golden]:
    """The newest golden record of every reference, by `kind/id`."""
    return {
        k: decode_golden(v) for k, v in newest(settings, "reference").items() if not k.startswith("done/")
    }


def newest(settings: Settings, topic: str) -> dict[str, bytes]:
    """A compacted topic's newest values."""
    found = reading.newest(
        settings.kafka, reading.beginnings(settings.topic(topic), range(settings.partitions))
    )
    return {key.decode(): message.value() or b"" for key, message in found.items()}


async def run(app: faust.App) -> None:
    """Until SIGTERM."""
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await app.start()
    await stopped.wait()
    await app.stop()


def main(
    topic: Annotated[str, typer.Option(help="Full name of the input topic.")],
    group: Annotated[str, typer.Option(help="Consumer group.")],
    once: Annotated[bool, typer.Option("--once", help="Decide once a transaction.")] = False,
) -> None:
    """Run the stock app."""
    logging.basicConfig(level=logging.WARNING)
    known = configuration.load()
    stock = Stock(known)
    gc.collect()
    gc.freeze()  # its preloaded state is the bench's doing: the collector shall not walk it
    with TemporaryDirectory() as folder:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        app = application(known, stock, topic, group, folder, once=once)
        loop.run_until_complete(run(app))


if __name__ == "__main__":
    typer.run(main)
