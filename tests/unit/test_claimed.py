"""Held and claimed: what a system holds, whoever wrote it, and what its own users say; and edits judged between the two."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict

from streams.core.advance import Decision, advance, decide, hold
from streams.core.canonical import Provider, Row
from streams.core.change import Change, Confirmation
from streams.core.entity import Entity, aggregate, confirm, golden
from tests.world import AUTHORITY, WORLD, provider

FIELDS = ("display_name", "first_name", "languages")
values = st.fixed_dictionaries(
    {
        "display_name": st.sampled_from([None, "a", "b"]),
        "first_name": st.sampled_from(["a", "b"]),
        "languages": st.sampled_from([None, ["en"], ["en", "es"]]),
    }
)
writes = st.lists(st.tuples(st.booleans(), values), min_size=1, max_size=8)


def edited(at: int, txid: int = 0, record: str = "provider", row_id: str = "7", **fields: Any) -> Change:
    """A row of the directory's, written by somebody in this transaction."""
    row: Row = Provider(**fields)
    return Change(
        "directory", "provider", "provider-0", record, row_id, (1, at, at, 1), row, False, False, txid or at, 0, 0,
        False, origin=0,
    )  # fmt: skip


def applied(at: int, revision: int) -> Confirmation:
    """The directory's adapter has applied a revision, in the transaction of that number."""
    return Confirmation(
        "directory", "provider", "provider-0", "7", revision, "", (1, at, at, 1), False, at, 0, 0, 0
    )  # fmt: skip


@given(writes)
def test_an_own_write_moves_what_is_held_and_never_what_is_claimed(history: list[tuple[bool, Any]]) -> None:
    """Invariant 8, against a model: per field, a user's write that says another value than was held is a claim."""
    entity = Entity("provider", "provider-0")
    held: dict[str, Any] = {}
    said: dict[str, Any] = {}
    for at, (own, row) in enumerate(history, 1):
        if own:
            confirm(entity, applied(at, at))
        aggregate(entity, edited(at, **row))
        said |= {f: None if own else row[f] for f in FIELDS if f not in held}
        said |= {} if own else {f: row[f] for f in FIELDS if f in held and row[f] != held[f]}
        held = row
    claim = entity.claims["directory"]["provider"]["7"]
    assert {f: asdict(claim.image("provider"))[f] for f in FIELDS} == held  # type: ignore[arg-type]
    assert {f: asdict(claim.claims("provider"))[f] for f in FIELDS} == said  # type: ignore[arg-type]


def test_a_union_shrinks_when_its_last_speaker_falls_silent() -> None:
    """Were our own write a claim, the directory would keep for ever what we told it."""
    entity = provider(languages=[{"code": "en"}, {"code": "es"}])
    decide(entity, WORLD, 0)
    hold(entity, applied(5, 1), 0)
    advance(entity, edited(5, languages=["en", "es"]), 0)
    [ours] = entity.claims["credentialing"]["provider"].values()
    root = ours.image("provider")
    assert isinstance(root, Provider)
    later = Change(
        "credentialing", "provider", "provider-0", "provider", "provider-0", (9, 1, 1),
        Provider(**{**asdict(root), "languages": [{"code": "en"}]}), False, False, 9, 0, 0, False,
    )  # fmt: skip
    advance(entity, later, 0)
    found = golden(entity, AUTHORITY).one(Provider)
    assert found is not None
    assert found.languages == [{"code": "en"}]


# ---- an edit in flight ----

AS_SENT: dict[str, Any] = {
    "provider_id": "provider-0", "npi": "1234567893", "first_name": "Ann", "last_name": "Example", "degree": "MD",
    "display_name": "Ann Example, MD",
}  # fmt: skip


def delivered() -> Entity:
    """A provider whose first view the directory has taken."""
    entity = provider()
    decide(entity, WORLD, 0)
    hold(entity, applied(5, entity.revision), 0)
    advance(entity, edited(6, txid=5, **AS_SENT), 0)
    assert subjects(decide(entity, WORLD, 0)) == []
    return entity


def subjects(decision: Decision) -> list[str]:
    return [f"{e.field} {e.policy}" for e in decision.overruled]


def renamed(entity: Entity) -> None:
    """The master says another name, and its view is on the way."""
    [claim] = entity.claims["credentialing"]["provider"].values()
    root = claim.image("provider")
    assert isinstance(root, Provider)
    change = Change(
        "credentialing", "provider", "provider-0", "provider", "provider-0", (9, 1, 1),
        Provider(**{**asdict(root), "last_name": "Exemplar"}), False, False, 9, 0, 0, False,
    )  # fmt: skip
    advance(entity, change, 0)
    assert subjects(decide(entity, WORLD, 0)) == []


def test_an_edit_made_before_the_view_arrived_is_judged_for_what_was_edited() -> None:
    """It still has the old name: that is ours, and on its way."""
    entity = delivered()
    renamed(entity)
    advance(entity, edited(20, **{**AS_SENT, "degree": "DO"}), 0)
    decision = decide(entity, WORLD, 0)
    assert subjects(decision) == ["degree propose"]
    assert decision.overruled[0].current == "MD"
    assert [p.field for p in entity.proposals] == ["degree"]


def test_an_edit_that_the_view_then_wrote_over_is_superseded() -> None:
    entity = delivered()
    renamed(entity)
    advance(entity, edited(20, **{**AS_SENT, "degree": "DO"}), 0)
    hold(entity, applied(30, entity.revision), 0)
    new = {**AS_SENT, "last_name": "Exemplar", "display_name": "Ann Exemplar, MD"}
    advance(entity, edited(31, txid=30, **new), 0)
    assert subjects(decide(entity, WORLD, 0)) == []


def test_an_edit_made_after_the_view_arrived_is_judged_against_it() -> None:
    entity = delivered()
    renamed(entity)
    hold(entity, applied(30, entity.revision), 0)
    new = {**AS_SENT, "last_name": "Exemplar", "display_name": "Ann Exemplar, MD"}
    advance(entity, edited(31, txid=30, **new), 0)
    assert subjects(decide(entity, WORLD, 0)) == []
    assert entity.passing == {}
    advance(entity, edited(40, **{**new, "last_name": "Example"}), 0)
    assert subjects(decide(entity, WORLD, 0)) == ["last_name propose"]
