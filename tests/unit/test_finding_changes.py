"""A finding changes when what is said of it does, names the claims it rests on, and never flaps."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from streams.codec import position_text
from streams.core import deadline
from streams.core.advance import advance, decide
from streams.core.entity import Entity, Evidence
from streams.core.finding import MOST_EVIDENCE, Event, Found, settle
from streams.core.rules.book import CODES
from streams.core.rules.rule import HOLD, WITHDRAW
from streams.operate import findings as reading
from streams.operate.sandbox import encoders
from tests.fixtures.decider import Bench, findings, person
from tests.strategies import decoded
from tests.world import belongings, provider, row, world

AT, LATER = (1, 2, 3), (1, 5, 6)
GAP = Found("capture.gap", "license/license-0/number_raw")
KEY = f"{GAP.code} {GAP.subject}"


@pytest.mark.parametrize(
    "different", [{"severity": "low"}, {"effect": "warn"}, {"message": "x"}, {"actor": "x"}]
)
def test_a_finding_whose_words_differ_is_said_again_once(different: dict[str, str]) -> None:
    """Another version of the rules, or of this program, has other words."""
    entity = Entity("provider", "p")
    [opened] = settle(entity, {GAP}, AT)
    entity.findings[KEY] = replace(entity.findings[KEY], **different)
    [changed] = settle(entity, {GAP}, LATER)
    assert (changed.state, changed.opened, changed.position) == ("changed", AT, LATER)
    assert {n: getattr(changed, n) for n in different} == {n: getattr(opened, n) for n in different}
    assert settle(entity, {GAP}, LATER) == []


def test_a_finding_names_the_claims_of_its_row_and_changes_with_them() -> None:
    entity = provider(npi="1234567890")
    decide(entity, world(), 0)
    [before] = entity.findings["format.npi_check_digit provider/provider-0/npi"].evidence
    assert (before.system, before.record, before.row_id) == ("credentialing", "provider", "provider-0")
    [still_wrong] = decoded([[row("provider", provider_id="provider-0", npi="1234567890", degree="DO")]])
    advance(entity, replace(still_wrong, position=(9, 9, 9)), 0)
    events = {event.code: event for event in decide(entity, world(), 0).findings}
    told = events["format.npi_check_digit"]
    assert (told.state, told.evidence) == ("changed", [replace(before, position=(9, 9, 9))])


def test_a_finding_about_no_row_of_its_own_rests_on_what_its_rule_reads() -> None:
    entity = provider(*belongings())
    decide(entity, world(as_of="2028-01-02"), 0)
    evidence = entity.findings["licence.lapsed location/location-0"].evidence
    assert [(e.record, e.row_id) for e in evidence] == [
        ("license", "license-0"), ("provider_location", "provider_location-0"),
    ]  # fmt: skip


def test_evidence_is_bounded() -> None:
    rows = [row("license", license_id=f"l{n}", provider_id="provider-0", number="") for n in range(40)]
    entity = provider(*rows)
    settle(entity, {Found("licence.missing", "license")}, AT)
    [found] = entity.findings.values()
    assert len(found.evidence) == MOST_EVIDENCE


@pytest.mark.parametrize(
    ("as_of", "by"),
    [("2026-06-01", "2026-06-02"), ("2026-06-05", "2026-06-08"), ("2026-06-06", "2026-06-08"), ("", "")],
)
def test_what_restricts_a_system_is_reviewed_within_a_business_day_counted_from_its_opening(
    as_of: str, by: str
) -> None:
    entity, other = Entity("provider", "p"), Found("capture.quarantined", "license/x")
    opened = {event.code: event for event in settle(entity, {GAP, other}, AT, as_of)}
    assert (opened["capture.gap"].due, opened["capture.quarantined"].due) == (by, ""), (
        "a warning has no clock"
    )
    assert settle(entity, {GAP, other}, LATER, "2026-12-01") == []


def test_every_deadline_is_of_a_known_code_and_restricting_rules_have_a_review() -> None:
    assert set(deadline.DEADLINES) <= set(CODES)
    for rule in CODES.values():
        restricts = bool({HOLD, WITHDRAW} & set(rule.in_force.values()))
        assert bool(deadline.review(rule, "2026-06-01")) == restricts


def test_the_alerts_of_a_deadline_are_dates_the_clock_reaches() -> None:
    """An alert without a date in the index would be said late."""
    entity = provider(row("license", license_id="l", provider_id="provider-0", expires="2026-12-31"))
    said: list[tuple[str, str]] = []
    day = "2026-06-01"
    while day and day <= "2026-12-31":
        events = decide(entity, world(as_of=day), 0).findings
        said += [(day, event.message) for event in events if event.code == "licence.expiring"]
        day = entity.due
    assert [when for when, _ in said] == ["2026-10-02", "2026-11-01", "2026-12-01", "2026-12-24"]
    assert len({message for _, message in said}) == 4


def test_half_a_transaction_opens_nothing(known: Bench) -> None:
    """Its licence comes before its provider: without the rest it would have no root row."""
    first, *rest = known.source.transaction([*belongings(), person()])
    assert findings(known.feed(first)) == []
    assert findings(known.work()) == []
    outputs = known.feed(*rest) + known.settle()
    assert findings(outputs) == []


def test_a_snapshot_in_progress_opens_nothing(known: Bench) -> None:
    licence, *rest = known.source.snapshot([*belongings(), person()])
    outputs = known.feed(licence)
    known.now += 60_000
    outputs += known.work() + known.feed(*rest) + known.settle()
    assert findings(outputs) == []
    assert findings(known.snapshot_complete() + known.settle()) == []


# ---- on the wire ----

EVENT = Event(
    "provider", "p", "licence.expiring", "license/l/expires", "opened", "medium", "warn", "message", "action",
    AT, LATER, "credentialing", "2026-12-31", [Evidence("credentialing", "license", "l", AT)],
)  # fmt: skip


def test_a_finding_is_read_back_with_its_evidence() -> None:
    found = reading.decode(encoders().finding(EVENT))
    assert (found["actor"], found["due"]) == ("credentialing", "2026-12-31")
    assert found["evidence"] == [
        {"system": "credentialing", "record": "license", "row_id": "l", "position": position_text(AT)}
    ]


def test_a_finding_of_the_first_version_is_still_read() -> None:
    bare = encoders().finding(replace(EVENT, actor="", due="", evidence=[]))
    old = bare[: -len(b"\0\0\0")]  # without actor, due and evidence, each empty in one byte
    found = reading.decode(old)
    assert (found["code"], found["actor"], found["due"], found["evidence"]) == (
        "licence.expiring",
        "",
        None,
        [],
    )


def test_findings_are_listed_by_the_day_they_are_due_then_by_severity() -> None:
    told = [("", "high"), ("2027-01-01", "low"), ("2026-12-31", "low"), ("2026-12-31", "high")]
    found = [
        reading.decode(encoders().finding(replace(EVENT, due=due, severity=severity)))
        for due, severity in told
    ]
    found.sort(key=reading._urgency)
    assert [(f["due"], f["severity"]) for f in found] == [
        ("2026-12-31", "high"), ("2026-12-31", "low"), ("2027-01-01", "low"), (None, "high"),
    ]  # fmt: skip
    assert [reading._is_of(found[0], code) for code in ("", "licence", "licence.expiring", "lic")] == [
        True, True, True, False,
    ]  # fmt: skip


def test_an_open_finding_of_an_older_version_is_read_and_said_again() -> None:
    entity = Entity("provider", "p")
    settle(entity, {GAP}, AT)
    [old] = entity.findings.values()
    packed = msgspec.msgpack.encode([old.position, old.severity, old.effect, old.message, old.action])
    entity.findings[KEY] = msgspec.msgpack.decode(packed, type=type(old))
    assert [event.state for event in settle(entity, {GAP}, LATER)] == ["changed"]
