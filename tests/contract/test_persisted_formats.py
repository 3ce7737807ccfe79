"""Every persisted shape has a golden: its bytes as they were once written, and its field names in order.

A renamed or reordered field fails here; a field appended with a default passes, and the old bytes still decode. After a
deliberate addition, `python -m tests.contract.test_persisted_formats` writes the goldens of shapes that have none;
never overwrite one: topics and stores hold such bytes for years.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from streams.agents import state
from streams.agents.control import AssertAgain, Diverges, SnapshotComplete, Tick, TickCounted, TickProposed
from streams.agents.said import Holder
from streams.core import canonical, entity, view
from streams.core.entity import (
    NIL,
    Awaited,
    Broadcast,
    Claim,
    Confirmed,
    Entity,
    Evidence,
    Judged,
    Link,
    Open,
    Parity,
    Proposal,
    Refusal,
    Sent,
    Step,
    Touch,
)
from streams.core.rekeyed import Told
from streams.engine.store import Checkpoint, EntityIndex, decode_index

FOLDER = Path(__file__).parent / "golden"

ROW = Raw(canonical.encode(canonical.License("IL", number_raw="x")))
CLAIM = Claim(
    (1, 2, 3), 4, 5, ROW, {"state": "WI"}, {"expires": None}, ["number_raw"], {"taxonomy.nucc_code": "y"}
)
TOUCH = Touch("credentialing", (1, 2, 3), 4, 5, 6, 7, True)
STEP = Step(8, "credentialing", (1, 2, 3), 4, 5, 6, 7, 9, ["directory"])
EVIDENCE = Evidence("credentialing", "license", "l", (1, 2, 3))
OPEN = Open((1, 2, 3), "high", "hold", "message", "action", "steward", "2026-06-02", [EVIDENCE])
CONFIRMED = Confirmed(3, (1, 2, 3), 4, 5, "17", "hash")
JUDGED = Judged((1, 2, 3), "revert", "2026-06-01", 1)
PROPOSAL = Proposal("abc", "directory", "provider", "7", "last_name", "Roe", "Doe", (1, 2, 3), "2026-06-01")
REFUSAL = Refusal(3, "target.value", "provider: HTTP 422", 2)
AWAITED = Awaited(3, "2026-06-01")
PARITY = Parity("differing", 7, ["provider.degree"])
ENTITY = Entity(
    kind="provider",
    id="p",
    revision=3,
    claims={"credentialing": {"license": {"l": CLAIM, "gone": Claim((1, 2, 4), 5, 6, NIL)}}},
    sent={"directory": Sent(3, Raw(b"\x91\xa6active"))},
    findings={"capture.gap a/b": Open((1, 2, 3), "high", "hold", "message", "action")},
    gaps={"license/l": "change.type_wrong"},
    trail=[Raw(entity.encode(STEP))],
    dirty=TOUCH,
    depends=["location/x"],
    announced="1234567893",
    accepted={"npi": "1234567893"},
    proposals=[PROPOSAL],
    due="2026-06-02",
    confirmed={"directory": CONFIRMED},
    judged={"directory/provider/7/npi": JUDGED},
    link=Link("p", 1, "p"),
    passing={"directory": Raw(b"\x91\xa6active")},
    parity={"directory": PARITY},
    refused={"directory": REFUSAL},
    closed={"7": "voided"},
    again=["directory"],
    diverging={"license/l/credentialing": "verify.missing"},
    awaited={"directory": AWAITED},
)
TOLD = Told(
    "directory",
    "provider",
    "p",
    "provider",
    "7",
    2,
    (1, 2, 3, 1),
    4,
    5,
    6,
    False,
    ROW,
    {"a": "b"},
    ["c"],
    8,
    "h",
)
STATE = state.PartitionState(
    inputs={"cdc.credentialing": 7},
    consumed={"cdc.credentialing": 7},
    outcomes={"cdc.credentialing": {"applied": 6, "quarantined": 1}},
    snapshots={"credentialing": state.Snapshot(1, 5, True, False)},
    references={2: 11},
    rules="1",
    as_of="2026-06-01",
    decided=3,
    emitted=9,
    late=1,
    ticked="2026-06-01",
    toward="2",
    reference_topic="t",
    streamed={"credentialing": 1},
    read_again={"credentialing": 1},
    providers=7,
    proposed=("2026-06-02", "holder"),
    counts={3: state.Count("2026-06-02", "holder", 5, 2, 7)},
    stopped="2026-06-02",
    parity={"directory": {"equal": 7, "differing": 1}},
    apart={"directory": {"provider.degree": 1}},
    canaries={"directory": state.Beat(5, 6, 7)},
)


@dataclass(frozen=True)
class Shape:
    """One persisted shape: a sample with every field set, and how it is written and read."""

    sample: Any
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]


def _is_view(found: Any) -> bool:
    return isinstance(found, type) and issubclass(found, view.View | view.Part)


def packed(sample: Any) -> Shape:
    return Shape(sample, msgspec.msgpack.encode, msgspec.msgpack.Decoder(type(sample)).decode)


def text(sample: Any) -> Shape:
    return Shape(sample, msgspec.json.encode, msgspec.json.Decoder(type(sample)).decode)


SHAPES: dict[str, Shape] = {
    "entity": Shape(ENTITY, entity.encode, entity.decode),
    "claim": packed(CLAIM),
    "touch": packed(TOUCH),
    "step": packed(STEP),
    "open_finding": packed(OPEN),
    "evidence": packed(EVIDENCE),
    "confirmed": packed(CONFIRMED),
    "judged": packed(JUDGED),
    "proposal": packed(PROPOSAL),
    "parity": packed(PARITY),
    "refusal": packed(REFUSAL),
    "awaited": packed(AWAITED),
    "link": packed(Link("p", 1, "p")),
    "told": packed(TOLD),
    "sent": packed(Sent(3, Raw(b"\x91\xa6active"))),
    "golden": packed(Broadcast("location", "l", {"location": {"l": ROW}})),
    "partition_state": Shape(STATE, state.encode, state.decode),
    "snapshot": packed(state.Snapshot(1, 5, True, False)),
    "checkpoint": packed(Checkpoint("topic-id", 42, 1_700_000_000_000)),
    "holder": text(Holder("1234567893", "provider", "p", True, (1, 2, 3))),
    "snapshot_complete": text(SnapshotComplete("credentialing", 1, 5)),
    "tick": text(Tick("2026-11-22", "operator")),
    "tick_proposed": text(TickProposed("2026-11-22", "operator 1")),
    "tick_counted": text(TickCounted("2026-11-22", "operator 1", 3, 5, 2, 7)),
    "assert_again": text(AssertAgain("directory", "provider", "p", "concord-repair-1")),
    "diverges": text(Diverges("directory", "listing", "provider", "p", {"7": "verify.missing"})),
    "beat": packed(state.Beat(5, 6, 7)),
    "count": packed(state.Count("2026-11-22", "operator 1", 5, 2, 7)),
}


def golden_of(name: str) -> tuple[list[str], bytes]:
    names, data = (FOLDER / f"{name}.hex").read_text().splitlines()
    return names.removeprefix("# ").split(), bytes.fromhex(data)


@pytest.mark.parametrize("name", SHAPES)
def test_no_field_was_renamed_moved_or_taken_out(name: str) -> None:
    names, _ = golden_of(name)
    now = list(SHAPES[name].sample.__struct_fields__)
    assert now[: len(names)] == names
    defaults = len(SHAPES[name].sample.__struct_defaults__)
    assert len(now) - len(names) <= defaults, "an appended field needs a default"


@pytest.mark.parametrize("name", SHAPES)
def test_bytes_once_written_are_still_read_as_they_were_meant(name: str) -> None:
    names, data = golden_of(name)
    found, sample = SHAPES[name].decode(data), SHAPES[name].sample
    assert {n: getattr(found, n) for n in names} == {n: getattr(sample, n) for n in names}


@pytest.mark.parametrize("name", SHAPES)
def test_what_is_written_now_begins_as_it_always_did(name: str) -> None:
    """Equal while nothing is appended; an encoder that changed would make every entity differ from its stored bytes."""
    names, data = golden_of(name)
    shape = SHAPES[name]
    if list(shape.sample.__struct_fields__) == names:
        assert shape.encode(shape.sample) == data


def test_every_golden_has_its_shape() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.hex")) == sorted(SHAPES)


def test_every_persisted_struct_of_these_modules_has_a_golden() -> None:
    """array_like is what the persisted structs share: a new one needs a golden."""
    covered = {type(shape.sample) for shape in SHAPES.values()} | {EntityIndex}
    for module in (entity, state):
        for found in vars(module).values():
            if (
                isinstance(found, type)
                and issubclass(found, msgspec.Struct)
                and found.__struct_config__.array_like
                and found.__module__ == module.__name__
            ):
                assert found in covered, found.__name__


def test_the_stores_index_mirrors_the_entity() -> None:
    """The index reads the same bytes by place: each of its fields stands where the entity has it."""
    names = Entity.__struct_fields__
    assert EntityIndex.__struct_fields__ == names[: len(EntityIndex.__struct_fields__)]
    index = decode_index(entity.encode(ENTITY))
    for name in ("kind", "id", "revision", "dirty", "depends", "due", "parity"):
        assert getattr(index, name) == getattr(ENTITY, name)


ARRAYS = {**canonical.RECORDS, **{v.__name__: v for v in vars(view).values() if _is_view(v)}}
"""Every shape that is stored as an array of its fields: canonical rows, views and their parts."""


def test_no_field_of_a_row_or_a_view_was_moved_or_taken_out() -> None:
    """The order of fields is the store's: a new one goes to the end of its record."""
    kept = json.loads((FOLDER / "fields.json").read_text())
    for name, fields in kept.items():
        assert list(ARRAYS[name].__struct_fields__)[: len(fields)] == fields, (
            f"{name}: append fields at its end"
        )
    assert {name: list(found.__struct_fields__) for name, found in ARRAYS.items()} == kept, (
        "after appending: python -m tests.contract.test_persisted_formats"
    )


def test_an_entity_of_the_first_day_still_decodes() -> None:
    """Only kind and id are without default: the shortest record that can ever have been written."""
    old = msgspec.msgpack.encode(["provider", "p"])
    assert entity.decode(old) == Entity("provider", "p")
    assert decode_index(old).dirty is None


def write() -> None:
    """Goldens of shapes that have none, and the fields there are now."""
    fields = {name: list(found.__struct_fields__) for name, found in ARRAYS.items()}
    (FOLDER / "fields.json").write_text(json.dumps(fields, indent=1) + "\n")
    for name, shape in SHAPES.items():
        file = FOLDER / f"{name}.hex"
        if not file.exists():
            names = " ".join(shape.sample.__struct_fields__)
            file.write_text(f"# {names}\n{shape.encode(shape.sample).hex()}\n")


if __name__ == "__main__":
    write()
