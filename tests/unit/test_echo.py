"""An echo, a stale row and a repeated one are counted, and nothing follows: no finding, no view (P04 and R19).

Twice: where rows come under the master's own ids, and where they come under those of another system.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.envelope import Message
from streams.core.rules.book import COUNTED
from streams.operate import scenario
from streams.operate.sandbox import Sandbox

GIVEN = Path(__file__).parents[1] / "behavior" / "two_way" / "languages_are_the_union_of_both.toml"
"""A scenario for its rows: ann and two clinics."""
ANN = "provider/ann"
FIRST_DAY = 20_605


class Counting:
    """A sandbox with ann, in the directory, and what follows from records counted."""

    def __init__(self, folder: Path) -> None:
        self.sandbox = Sandbox(folder, ["directory"])
        self.rows = scenario.Rows()
        self.sandbox.at(FIRST_DAY)
        self.sandbox.snapshot([self.rows.change(row) for row in scenario.load(GIVEN).given])
        self.named("Exemplar")

    def named(self, last_name: str) -> list[Message]:
        """The master says another name; what its capture sends."""
        row = scenario.RowFile(table="provider", row={"provider_id": "ann", "last_name": last_name})
        sent = list(self.sandbox.source.transaction([self.rows.change(row)]))
        self.sandbox.send(sent)
        self.sandbox.settle()
        return sent

    def counts(self, topic: str) -> dict[str, int]:
        return dict(self.sandbox.handler.state.outcomes.get(topic, {}))

    def said(self) -> tuple[object, ...]:
        """Everything that anybody is told."""
        entity = self.sandbox.entity(ANN)
        assert entity is not None
        told = self.sandbox.told
        return (
            entity.revision,
            dict(told.views),
            {k: set(v) for k, v in told.findings.items()},
            dict(told.said),
        )


@pytest.fixture
def counting(tmp_path: Path) -> Iterator[Counting]:
    found = Counting(tmp_path)
    yield found
    found.sandbox.close()


def more(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    return {name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name, 0)}


def test_a_repeated_row_and_one_that_was_overtaken_are_superseded_and_open_nothing(
    counting: Counting,
) -> None:
    old = counting.named("One")
    counting.named("Two")
    before, said = counting.counts("cdc.credentialing"), counting.said()
    counting.sandbox.send([*old, *old])
    counting.sandbox.settle()
    assert more(before, counting.counts("cdc.credentialing"))["superseded"] == 2
    assert counting.said() == said
    assert counting.sandbox.told.findings.get(ANN, set()) == set()
    assert counting.sandbox.told.quarantined == []


def test_the_echo_of_what_the_platform_wrote_is_counted_and_nothing_follows(counting: Counting) -> None:
    sandbox = counting.sandbox
    before = {topic: counting.counts(topic) for topic in ("cdc.directory", "claims.directory")}
    row = scenario.RowFile(table="provider", row={"provider_id": "ann", "last_name": "Sample"})
    sandbox.deliveries = 0
    sandbox.commit([counting.rows.change(row)])
    said = counting.said()
    sandbox.deliver()
    sandbox.settle()
    assert counting.said() == said, "no view and no finding follow from what the platform wrote itself"
    for topic, known in before.items():
        counted = more(known, counting.counts(topic))
        assert counted.keys() <= {*COUNTED["P04"], "unmapped"}, topic
        assert counted, topic
    entity = sandbox.entity(ANN)
    assert entity is not None
    assert entity.confirmed["directory"].revision == entity.sent["directory"].revision
    assert sandbox.told.rejections == []
