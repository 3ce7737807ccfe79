"""An adapter that stands still: one word when it begins, one when it ends, whatever is tried in between."""

from __future__ import annotations

from connectors.standstill import Standstill, concerns_somebody
from streams.errors import EnvironmentFault, Unavailable
from tests.reference_api import Noted

GONE = EnvironmentFault("target.schema", "directory: dir_provider.gender is gone", "alter it back")
FORBIDDEN = EnvironmentFault("target.forbidden", "directory: InsufficientPrivilege 42501", "grant it")


def outcomes(noted: Noted) -> list[tuple[str, str]]:
    return [(receipt.outcome, receipt.code) for receipt in noted.receipts]


def test_each_reason_is_said_once_and_the_end_once() -> None:
    noted = Noted()
    standstill = Standstill("directory", noted)
    for fault in (GONE, GONE, FORBIDDEN, FORBIDDEN):
        standstill.begin(fault)
    standstill.end()
    standstill.end()
    assert outcomes(noted) == [
        ("paused", "target.schema"),
        ("paused", "target.forbidden"),
        ("resumed", "target.resumed"),
    ]
    revisions = [receipt.revision or 0 for receipt in noted.receipts]
    assert revisions == sorted(set(revisions))
    assert {(r.kind, r.entity_id, r.system) for r in noted.receipts} == {("system", "directory", "directory")}


def test_a_system_that_is_down_is_said_once_whatever_each_try_is_answered() -> None:
    noted = Noted()
    standstill = Standstill("directory", noted)
    for number in range(3):
        standstill.begin(Unavailable("target.busy", f"directory: HTTP 503 for provider/{number}"))
        standstill.begin(Unavailable("target.unavailable", f"directory: HTTP 500 for provider/{number}"))
    standstill.end()
    assert outcomes(noted) == [("paused", "target.busy"), ("resumed", "target.resumed")]


def test_a_person_is_told_of_what_is_to_be_mended_and_of_a_target_that_stays_away() -> None:
    down, registry = Unavailable("target.unavailable", "down"), Unavailable("registry.unavailable", "down")
    assert concerns_somebody(GONE, lasts=False)
    assert concerns_somebody(down, lasts=True)
    assert not concerns_somebody(down, lasts=False), "a restart is over by itself"
    assert not concerns_somebody(registry, lasts=True), "no word of the target"


def test_a_process_says_once_that_it_works_for_the_one_before_it_may_have_died_while_it_stood_still() -> None:
    noted = Noted()
    standstill = Standstill("directory", noted)
    standstill.end()
    standstill.end()
    assert outcomes(noted) == [("resumed", "target.resumed")]


def test_what_kafka_did_not_take_is_said_with_the_next_try() -> None:
    noted = Noted()
    standstill = Standstill("directory", noted)
    noted.down = True
    standstill.begin(GONE)
    noted.down = False
    standstill.begin(GONE)
    noted.down = True
    standstill.end()
    noted.down = False
    standstill.end()
    assert [outcome for outcome, _ in outcomes(noted)] == ["paused", "resumed"]
