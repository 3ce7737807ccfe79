"""A worker process with one thing changed, to measure what that thing costs.

    python -m tests.bench.worker --data-dir DIR --variant transactional|confirmed|ruleless [--profile FILE]

`confirmed` writes the same outputs without transactions: acks=all, each chunk confirmed before its state is stored.
`ruleless` has an empty rule book: value checks, identity and references are still looked at.
The rest is `concord worker`. With a profile the process is slower; its figures count for nothing else.
"""

from __future__ import annotations

import cProfile
import pstats
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from confluent_kafka import KafkaError, Message, Producer

from streams import app as composition
from streams import settings as configuration
from streams.cli import output as logging
from streams.core.rules import book
from streams.engine import producer, worker
from streams.engine.producer import Output, Refused, TransactionalProducer


class ConfirmedProducer(TransactionalProducer):
    """The same port without transactions: nothing is fenced, and half a chunk may be seen."""

    def __init__(self, bootstrap: str, transactional_id: str) -> None:
        wanted = producer.config(bootstrap, transactional_id)
        plain = {name: value for name, value in wanted.items() if not name.startswith("transaction")}
        self.transactional_id = transactional_id
        self._producer = Producer({**plain, "enable.idempotence": True})
        self._open = False

    def init(self) -> None:
        """Nothing to fence."""

    def _write(self, outputs: Sequence[Output], offsets: list[int], failed: list[KafkaError]) -> None:
        last = len(outputs) - 1

        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                failed.append(error)
            else:
                offsets.append(message.offset())

        for index, out in enumerate(outputs):
            extra: dict[str, object] = {"partition": out.partition} if out.partition is not None else {}
            if index == last:  # as the transactional one does: a callback a record would cost it time
                extra["on_delivery"] = delivered
            self._producer.produce(out.topic, out.value, out.key, headers=out.headers, **extra)
        left = self._producer.flush(producer.COMMIT_SECONDS)
        if left or failed:
            raise Refused(failed[0].str() if failed else f"{left} records not confirmed in time")


def main(
    data_dir: Annotated[Path, typer.Option(help="Where this worker keeps its stores.")],
    variant: Annotated[str, typer.Option(help="transactional, confirmed or ruleless")] = "transactional",
    profile: Annotated[
        Path | None, typer.Option(help="Write a profile of the event loop's thread here.")
    ] = None,
) -> None:
    """Run the worker until it is told to stop."""
    logging.log_to_stderr()
    # The one thing changed.
    if variant == "confirmed":
        setattr(worker, "TransactionalProducer", ConfirmedProducer)  # noqa: B010
    elif variant == "ruleless":
        setattr(book, "RULES", ())  # noqa: B010
    known = configuration.load().model_copy(update={"data_dir": data_dir})
    if profile is None:
        raise typer.Exit(composition.run(known))
    profiler = cProfile.Profile()
    code = profiler.runcall(composition.run, known)
    write(profiler, profile)
    raise typer.Exit(code)


def write(profiler: cProfile.Profile, file: Path, top: int = 40) -> None:
    """The functions that took most time, by own time and with what they called."""
    with file.open("w", encoding="utf-8") as stream:
        found = pstats.Stats(profiler, stream=stream)
        found.strip_dirs().sort_stats("tottime").print_stats(top)
        found.sort_stats("cumulative").print_stats(top)


if __name__ == "__main__":
    typer.run(main)
