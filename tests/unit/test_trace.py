"""A trace tells what each hop kept, and of what nobody kept it tells why."""

from __future__ import annotations

from streams.cli.show import trace_text
from streams.core.entity import Entity, Step
from streams.operate.applied import Held
from streams.operate.find import Located
from streams.operate.trace import Trace, arrival_state, describe, moments

BASE = 1_800_000_000_000_000
STEPS = [
    Step(1, "credentialing", (1, 10, 11), 701, BASE, BASE + 4_000, BASE + 6_000, BASE + 9_000, ["directory"]),
    Step(2, "reference", (0, 0, 0), 0, 0, 0, 0, BASE + 50_000, ["directory"]),
]
RECORDS = {("directory", 1): BASE + 10_000, ("directory", 2): BASE + 51_000}


def traced(target: Held) -> Trace:
    entity = Entity("provider", "p", revision=2)
    for step in STEPS:
        entity.remember(step)
    return describe(Located(entity, "worker/test"), RECORDS, {"directory": target})


def test_newest_first_with_milliseconds_from_hop_to_hop() -> None:
    found = traced(Held("directory", True, 1, BASE + 30_000, "8"))
    assert [r.revision for r in found.revisions] == [2, 1]
    first = found.revisions[1]
    assert [(m.hop, m.ms) for m in first.moments] == [
        ("committed", None), ("captured", 4.0), ("received", 2.0), ("decided", 3.0),
    ]  # fmt: skip
    assert [(m.hop, m.ms) for m in first.sinks[0].moments] == [("sink", 1.0), ("applied", 20.0)]
    assert first.total_ms == 30.0


def test_a_revision_that_answers_no_commit_has_no_total() -> None:
    found = traced(Held("directory", True, 2, BASE + 60_000, "8"))
    newest = found.revisions[0]
    assert [(m.hop, m.us) for m in newest.moments][:3] == [
        ("committed", None),
        ("captured", None),
        ("received", None),
    ]
    assert newest.total_ms is None
    assert newest.sinks[0].state == "applied"


def test_a_target_knows_only_its_newest_revision() -> None:
    assert arrival_state(1, Held("directory", True, 2, BASE))[0] == "superseded"
    assert arrival_state(3, Held("directory", True, 2, BASE))[0] == "pending"
    assert (
        arrival_state(3, Held("directory", True, 2, BASE, waiting_revision=3, why="waits for location/x"))[0]
        == "deferred"
    )
    assert arrival_state(1, Held("directory", False, why="down")) == ("unknown", "down")
    assert arrival_state(1, None)[0] == "unknown"


def test_a_kafka_timestamp_cut_to_milliseconds_is_no_step_back() -> None:
    found = moments([("sink", BASE), ("applied", BASE + 5_000)], after=BASE + 279)
    assert [(m.us, m.ms) for m in found] == [(BASE + 279, 0.0), (BASE + 5_000, 4.721)]


def test_a_clock_that_really_stepped_back_is_shown() -> None:
    (found,) = moments([("applied", BASE)], after=BASE + 9_000)
    assert found.ms == -9.0


def test_its_text_has_a_line_a_hop() -> None:
    text = trace_text(traced(Held("directory", True, 1, BASE + 30_000, "8")))
    for word in (
        "committed",
        "captured",
        "received",
        "decided",
        "directory sink",
        "directory applied",
        "+20.0 ms",
    ):
        assert word in text
