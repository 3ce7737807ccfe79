"""Edits: judged once, told without restricted values, and proposals that nobody needs to rule on any more are gone."""

from __future__ import annotations

import io
from typing import Any

import fastavro
import pytest
from msgspec.structs import replace

from connectors.envelope import Source
from streams import codec
from streams.core import edit
from streams.core.advance import advance, decide, hold
from streams.core.authority import Rule
from streams.core.canonical import Affiliation, Provider
from streams.core.change import Change, Confirmation
from streams.core.edit import Edit
from streams.core.entity import Entity, Judged
from streams.operate.sandbox import contracts, encoders
from tests.strategies import CATALOG, decoded
from tests.world import AUTHORITY, TODAY, WORLD, provider, row

SCHEMAS = {topic: fastavro.parse_schema(schema) for topic, schema in contracts()}
SECRET = "value-that-may-not-leave"
RESTRICTED = [
    (record, name)
    for record, known in CATALOG.records.items()
    for name, field in known.fields.items()
    if field.cls != "public"
]


@pytest.mark.parametrize(("record", "field"), RESTRICTED, ids=lambda name: name)
def test_a_rejection_never_holds_a_value_that_is_not_public(record: str, field: str) -> None:
    """Invariant 11, for every field of class S1 or S2: its author knows what was written, nobody else needs to."""
    rule = AUTHORITY.rules[record][field]
    entity, given = confirmed("billing"), Edit(
        "billing", record, "7", field, "propose", (1, 1, 1), rule, SECRET, SECRET
    )  # fmt: skip
    entity.judged[given.subject] = Judged((1, 1, 1), "propose", TODAY, 1)
    wire = encoders().rejection(entity, given)
    said: Any = fastavro.schemaless_reader(io.BytesIO(wire[5:]), SCHEMAS["rejection.billing"], None)
    assert (said["current"], said["offered"]) == (None, None)
    assert SECRET.encode() not in wire


def confirmed(system: str) -> Entity:
    """A provider whose first view a system has taken."""
    entity = provider()
    decide(entity, WORLD, 0)
    said = Confirmation(system, "provider", "provider-0", "7", 1, "", (1, 5, 5, 1), False, 5, 0, 0, 0)
    hold(entity, said, 0)
    return entity


def wrote(system: str, record: str, row_id: str, at: int, values: Any) -> Change:
    """A row that somebody there wrote or deleted."""
    return Change(
        system, "provider", "provider-0", record, row_id, (1, at, at, 1), values, False, False, at, 0, 0, False,
        origin=0,
    )  # fmt: skip


def proposals(entity: Entity) -> list[str]:
    decide(entity, WORLD, 0)
    return [p.subject for p in entity.proposals]


def test_a_proposal_of_a_row_that_is_deleted_since_is_gone() -> None:
    entity = confirmed("billing")
    period = Affiliation(effective_from="2020-01-01", effective_to="2027-01-01")
    advance(entity, wrote("billing", "affiliation", "3", 20, period), 0)
    assert proposals(entity) == ["billing/affiliation/3/effective_to"]
    advance(entity, wrote("billing", "affiliation", "3", 30, None), 0)
    assert proposals(entity) == []


def test_a_proposal_outlives_the_view_that_writes_over_it() -> None:
    """It is kept independent of the claim it came with, until somebody rules on it."""
    entity = confirmed("billing")
    period = Affiliation(effective_from="2020-01-01", effective_to="2027-01-01")
    advance(entity, wrote("billing", "affiliation", "3", 20, period), 0)
    assert proposals(entity) == ["billing/affiliation/3/effective_to"]
    said = Confirmation(
        "billing", "provider", "provider-0", "7", entity.revision, "", (1, 30, 30, 1), False, 30, 0, 0, 0
    )
    hold(entity, said, 0)
    own = wrote("billing", "affiliation", "3", 31, Affiliation(effective_from="2020-01-01"))
    advance(entity, replace(own, txid=30), 0)
    assert proposals(entity) == ["billing/affiliation/3/effective_to"]


def test_each_edit_is_answered_once_and_a_sixth_of_a_day_is_a_conflict() -> None:
    entity = confirmed("directory")
    answers = []
    for at in range(20, 20 + edit.PER_DAY + 1):
        held = Provider("provider-0", "1234567893", last_name="Example", first_name="Ann", degree=f"D{at}")
        advance(entity, wrote("directory", "provider", "7", at, held), 0)
        found = {e.field: entity.judged[e.subject].policy for e in decide(entity, WORLD, 0).overruled}
        assert decide(entity, WORLD, 0).overruled == []
        answers.append(found["degree"])
    assert answers == ["propose"] * edit.PER_DAY + ["conflict"]


@pytest.mark.parametrize(("lsn", "answers"), [(0, []), (20, ["revert"])])
def test_a_row_made_of_who_was_withdrawn_is_given_to_the_adapter_unless_a_snapshot_read_it(
    lsn: int, answers: list[str]
) -> None:
    """What was there before capture is there before the withdrawal: its adapter finds it by itself."""
    entity = provider(status="terminated")
    decide(entity, WORLD, 0)
    made = wrote("directory", "provider", "7", 20, Provider("provider-0", "1234567893"))
    advance(entity, replace(made, position=(1, 20, lsn, 1)), 0)
    decision = decide(entity, WORLD, 0)
    assert [entity.judged[e.subject].policy for e in decision.overruled] == answers
    assert [(e.sink, e.content.status) for e in decision.emissions] == [("directory", "withdrawn")] * len(
        answers
    )


def test_what_was_edited_while_somebody_was_gone_is_judged_when_they_are_back() -> None:
    entity = confirmed("directory")
    [gone] = decoded(
        [[row("provider", provider_id="provider-0", first_name="Ann", status="terminated")]],
        Source("credentialing", epoch=2),
    )
    advance(entity, gone, 0)
    decide(entity, WORLD, 0)
    said = Confirmation(
        "directory", "provider", "provider-0", "7", entity.revision, "", (1, 10, 10, 1), False, 10, 0, 0, 0
    )
    hold(entity, said, 0)
    edited = Provider("provider-0", "1234567893", last_name="Example", first_name="Ann", degree="DO")
    advance(entity, wrote("directory", "provider", "7", 20, edited), 0)
    assert [e.policy for e in decide(entity, WORLD, 0).overruled] == ["departed"]
    assert entity.proposals == []
    [back] = decoded(
        [[row("provider", provider_id="provider-0", first_name="Ann", degree="MD", status="active")]],
        Source("credentialing", epoch=3),
    )
    advance(entity, back, 0)
    assert proposals(entity) == ["directory/provider/7/degree"]


@pytest.mark.parametrize(
    ("kind", "owners", "sole"),
    [
        ("source_of_truth", ("a",), ("a",)),
        ("precedence", ("a", "b"), ("a",)),
        ("union", ("a", "b"), ()),
        ("union", ("a",), ("a",)),
        ("most_recent", ("a", "b"), ("a", "b")),
        ("derived", (), ()),
    ],
)
def test_below_the_first_of_a_precedence_and_within_a_union_an_edit_is_still_an_edit(
    kind: str, owners: tuple[str, ...], sole: tuple[str, ...]
) -> None:
    assert Rule(kind, owners).sole == sole


def test_every_policy_that_overrules_has_a_word_for_its_author() -> None:
    """What is accepted by itself is taken over: nothing is rejected."""
    assert codec.OUTCOMES.keys() == {"revert", "propose", "conflict"}
