"""Findings open once, close by themselves, name paths and never values."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from connectors.envelope import Source
from streams.core import finding
from streams.core.advance import advance, decide, miss
from streams.core.canonical import RECORDS
from streams.core.change import Change, Malformed
from streams.core.deadline import DEADLINES
from streams.core.entity import Entity
from streams.core.finding import Found, settle
from streams.core.rules.book import CODES
from tests.strategies import any_entity, decoded, one_entity
from tests.world import WORLD, entity_of, provider, row

founds = st.sets(st.builds(Found, st.sampled_from(sorted(CODES)), st.sampled_from(["a/1", "a/2 b", "b"])))
AT = (1, 2, 3)


@given(st.lists(founds, max_size=6))
def test_what_opened_and_did_not_close_is_what_holds_now(rounds: list[set[Found]]) -> None:
    """Replaying the events of topic `finding` gives the open findings: the topic tells the whole story."""
    entity = Entity("provider", "p")
    told: set[tuple[str, str]] = set()
    for found in rounds:
        for event in settle(entity, found, AT):
            name = (event.code, event.subject)
            assert (name in told) == (event.state == "closed"), "opens once, closes once"
            told ^= {name}
        assert told == {(f.code, f.subject) for f in found}
        assert settle(entity, found, AT) == [], "nothing flaps"


def test_a_finding_keeps_when_it_opened() -> None:
    entity = Entity("provider", "p")
    settle(entity, {Found("capture.gap", "a")}, (1, 1, 1))
    settle(entity, {Found("capture.gap", "a"), Found("capture.gap", "b")}, (1, 2, 1))
    [closed] = settle(entity, {Found("capture.gap", "b")}, (1, 3, 1))
    assert (closed.opened, closed.position, closed.state) == ((1, 1, 1), (1, 3, 1), "closed")


@given(any_entity)
def test_findings_hold_no_value_of_the_row(history: list[Change]) -> None:
    """Invariant 11: a finding's topic clears nothing. Its texts are the table's, its subject a path."""
    entity = entity_of(history, history[0].kind, history[0].entity_id)
    fields = {field for change in history for field in RECORDS[change.record].__struct_fields__}
    ids = {change.row_id for change in history} | {change.record for change in history}
    references = {"location", "organization", "location-0", "location-1", "location-9"}
    references |= {"organization-0", "organization-1", "organization-9"}
    for event in decide(entity, WORLD, 0).findings:
        code = CODES[event.code]
        said, _, left = event.message.partition(": ") if event.code in DEADLINES else (event.message, "", "")
        assert (said, event.action) == (code.message, code.action)
        assert not left or left in {f"{n} days or less are left" for n in DEADLINES[event.code].alerts}
        parts = set(event.subject.split("/")) - fields - ids - references
        assert not parts - {*RECORDS, "npi", "last_name", "legal_name", "name"}


@given(one_entity())
def test_every_finding_closes_when_every_row_is_gone(history: list[Change]) -> None:
    entity = entity_of(history)
    decide(entity, WORLD, 0)
    for change in history:
        advance(entity, msgspec.structs.replace(change, position=(9, 0, change.position[2]), values=None), 0)
    decide(entity, WORLD, 0)
    assert entity.findings == {}


def test_a_refused_npi_is_found_and_closes_when_corrected() -> None:
    entity = provider(npi="1234567890")
    opened = {e.code for e in decide(entity, WORLD, 0).findings if e.state == "opened"}
    assert opened == {"format.npi_check_digit", "identity.npi_missing"}
    [right] = decoded([[row("provider", provider_id="provider-0")]], Source("credentialing", epoch=2))
    advance(entity, right, 0)
    closed = {e.code for e in decide(entity, WORLD, 0).findings if e.state == "closed"}
    assert closed == opened


def test_rows_without_their_root_are_found() -> None:
    entity = entity_of(decoded([[row("license", license_id="license-0", provider_id="provider-0")]]))
    assert [e.code for e in decide(entity, WORLD, 0).findings] == ["identity.root_missing"]


def test_a_quarantined_change_is_found_by_its_row() -> None:
    entity = provider()
    lost = Malformed(
        "change.type_wrong", "", "provider", "provider-0", "license", "license-0", "credentialing", (9, 9, 9)
    )
    miss(entity, lost, 0)
    found = [(e.code, e.subject) for e in decide(entity, WORLD, 0).findings]
    assert found == [("capture.quarantined", "license/license-0")]


def test_a_failed_decision_keeps_the_open_findings_and_adds_its_own() -> None:
    entity = Entity("provider", "p")
    settle(entity, {Found("capture.gap", "a b")}, AT)
    assert [e.code for e in finding.failed(entity, AT)] == ["internal.decide_failed"]
    assert finding.failed(entity, AT) == []
    assert [(e.code, e.state) for e in settle(entity, {Found("capture.gap", "a b")}, AT)] == [
        ("internal.decide_failed", "closed")
    ]
