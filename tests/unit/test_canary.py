"""A canary on its way through a worker: counted, noted, and nobody's data."""

from __future__ import annotations

import json
from typing import Any

from streams.agents.state import Beat
from streams.core.change import Canary, Control, Malformed
from tests.fixtures.decider import TOPIC, Bench, person
from tests.strategies import DECODER
from tests.world import belongings

HEADERS = [("concord-epoch", b"1")]


def canary(beat: Any = 41, op: str = "u") -> tuple[bytes, bytes, list[tuple[str, bytes]]]:
    row = {"name": "canary/credentialing", "beat": beat, "at": "2026-11-22T12:00:00Z"}
    source = {"table": "concord_canary", "sequence": '["100","120"]', "lsn": 120, "txId": 7, "ts_us": 1_000}
    envelope = {
        "op": op,
        "before": None,
        "after": None if op in "dt" else row,
        "source": source,
        "ts_us": 1_008,
    }
    return b"canary/credentialing", json.dumps(envelope).encode(), HEADERS


def test_a_canary_says_how_far_capture_has_come() -> None:
    assert DECODER.decode(*canary()) == Canary("credentialing", 41, 1_000, 1_008)


def test_a_canary_that_is_taken_away_says_nothing() -> None:
    assert isinstance(DECODER.decode(*canary(op="d")), Control)
    assert isinstance(DECODER.decode(*canary(op="t")), Control)


def test_a_canary_of_another_shape_is_told_like_any_bad_record() -> None:
    said = DECODER.decode(*canary(beat="soon"))
    assert isinstance(said, Malformed)
    assert said.code == "change.type_wrong"


def test_it_has_an_outcome_of_its_own_and_touches_nobody(bench: Bench) -> None:
    """Invariant 5; what it leaves is how far this partition has come."""
    outputs = bench.feed(canary(41), canary(42))
    assert [output.topic for output in outputs] == ["entity"]  # the partition's own state
    assert bench.state.outcomes[TOPIC] == {"canary": 2}
    assert bench.state.canaries == {"credentialing": Beat(42, 1_000, 1_008)}


def test_it_neither_ends_nor_delays_the_wait_for_a_transaction(bench: Bench) -> None:
    bench.commit(person(), *belongings())
    waits = bench.handler.next_ms(bench.now)
    bench.feed(canary())
    assert bench.handler.next_ms(bench.now) == waits
