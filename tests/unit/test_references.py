"""What a worker keeps of the references: all of them as they came, few of them decoded."""

from __future__ import annotations

from streams.core.entity import Golden
from streams.engine import references
from streams.engine.memory import MemoryReferences


def _empty(entity_id: str) -> Golden:
    return Golden("location", entity_id, ("location",), lambda record: {})


def test_a_country_of_clinics_is_not_kept_decoded() -> None:
    known, count = MemoryReferences(), references.DECODED + 5
    for number in range(count):
        known.put(f"location/{number}", _empty(str(number)))
    assert all(known.get("location", str(number)) is not None for number in range(count))
    assert len(known) == count
    assert len(known._decoded) <= references.DECODED


def test_what_changes_is_looked_up_anew() -> None:
    known = MemoryReferences()
    known.put("location/a", _empty("a"))
    before = known.get("location", "a")
    assert known.get("location", "a") is before
    known.put("location/a", _empty("a"))
    assert known.get("location", "a") is not before
    known.put("location/a", None)
    assert known.get("location", "a") is None
