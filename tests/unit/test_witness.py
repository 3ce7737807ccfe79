"""Witnesses: what NPPES, LEIE or SAM say of an entity is kept beside its claims, and changes no value it owns."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connectors.envelope import Message
from streams.core import witness
from streams.core.canonical import Nppes
from streams.core.change import Change, Malformed
from tests.fixtures.decider import Bench, person, views
from tests.world import belongings

TOPIC = "claims.witness"
NPI = "1234567893"


def message(load: int = 7, values: dict[str, Any] | None = None, **other: Any) -> Message:
    said = {
        "witness": "nppes",
        "kind": "provider",
        "id": "provider-0",
        "record": "nppes",
        "row": NPI,
        "position": [load, 0, 1],
        "as_of": "2026-11-09",
        "values": values,
        **other,
    }
    return b"provider-0", json.dumps(said).encode(), []


def test_a_row_of_a_witness_is_a_change_of_that_witness() -> None:
    key, value, _ = message(
        values={"nppes_npi": NPI, "status": "deactivated", "deactivated_on": "2026-03-01"}
    )
    said = witness.claim(key, value)
    assert isinstance(said, Change)
    assert (said.system, said.record, said.row_id, said.position) == ("nppes", "nppes", NPI, (7, 0, 1))
    assert said.values == Nppes(nppes_npi=NPI, status="deactivated", deactivated_on="2026-03-01")


def test_a_row_that_is_gone_is_a_tombstone_and_not_blanks() -> None:
    said = witness.claim(*message()[:2])
    assert isinstance(said, Change)
    assert said.values is None


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        ((b"provider-0", b"\xff", []), "witness.undecodable"),
        ((b"provider-0", b"{}", []), "witness.undecodable"),
        ((b"provider-0", None, []), "witness.undecodable"),
        (message(record="horoscope"), "witness.record_unknown"),
        (message(values={"npi": 3, "status": 3}), "change.type_wrong"),
        ((b"provider-1", *message()[1:]), "change.key_mismatch"),
    ],
)
def test_what_is_no_claim_has_a_stable_code(bad: Message, code: str) -> None:
    said = witness.claim(*bad[:2])
    assert isinstance(said, Malformed)
    assert said.code == code


def test_a_claim_is_kept_with_the_entity_and_changes_no_view(known: Bench) -> None:
    known.commit(person(), *belongings())
    assert len(views(known.settle())) == 3
    known.feed(message(values={"nppes_npi": NPI, "last_name": "Other", "status": "active"}), topic=TOPIC)
    assert views(known.settle()) == []
    kept = known.entity().claims["nppes"]["nppes"][NPI].image("nppes")
    assert kept == Nppes(nppes_npi=NPI, last_name="Other", status="active")
    assert known.state.outcomes[TOPIC] == {"applied": 1}


def test_the_newest_load_wins_and_an_older_one_is_superseded(known: Bench) -> None:
    known.feed(message(8, {"nppes_npi": NPI, "status": "active"}), topic=TOPIC)
    known.feed(message(7, {"nppes_npi": NPI, "status": "deactivated"}), topic=TOPIC)
    known.feed(message(9, {"nppes_npi": NPI, "status": "active"}), topic=TOPIC)
    known.feed(message(10), topic=TOPIC)
    known.settle()
    assert known.entity().claims["nppes"]["nppes"][NPI].is_deleted
    assert known.state.outcomes[TOPIC] == {"applied": 2, "superseded": 1, "unchanged": 1}


def test_a_claim_of_the_wrong_type_is_quarantined_and_leaves_a_finding(known: Bench) -> None:
    known.commit(person(), *belongings())
    known.settle()
    outputs = known.feed(message(values={"status": 3}), topic=TOPIC) + known.settle()
    assert [o.topic for o in outputs if o.topic in ("quarantine", "finding")] == ["quarantine", "finding"]
