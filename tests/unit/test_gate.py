"""Gates: restriction comes first, a hold never delays a withdrawal, an unknown reference withdraws nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.entity import Golden
from streams.core.finding import Found
from streams.core.gate import PASS, Hold, Withdraw, by_sink, judge
from streams.core.rules.book import CODES
from streams.core.rules.rule import EVERY, HOLD, WITHDRAW
from tests.world import golden_of

found_sets = st.sets(st.builds(Found, st.sampled_from(sorted(CODES)), st.just("x")))


def golden(kind: str = "provider", **values: object) -> Golden:
    return golden_of(kind, "id", {kind: {"id": values}} if values else {})


@given(st.sampled_from(["terminated", "suspended", "pending", "", None]), found_sets)
def test_a_status_that_is_not_active_withdraws_whatever_holds(status: str | None, found: set[Found]) -> None:
    verdict = judge(golden(provider_status=status), found, was_known=True)
    assert verdict == Withdraw(f"provider.{status or 'status_missing'}")


@given(st.sampled_from(["provider", "location", "organization"]), found_sets)
def test_a_deleted_root_withdraws_whatever_holds(kind: str, found: set[Found]) -> None:
    assert judge(golden(kind), found, was_known=True) == Withdraw(f"{kind}.deleted")


@given(st.sampled_from(["provider", "location", "npi"]), found_sets)
def test_a_root_that_never_came_is_held_and_never_withdrawn(kind: str, found: set[Found]) -> None:
    assert isinstance(judge(golden(kind), found, was_known=False), Hold)


@given(found_sets)
def test_an_active_provider_is_held_by_exactly_the_codes_that_hold(found: set[Found]) -> None:
    verdict = judge(golden(provider_status="active"), found, was_known=True)
    effects = {f.code: CODES[f.code].effect_on(EVERY) for f in found if not CODES[f.code].local}
    holding = tuple(sorted(code for code, effect in effects.items() if effect == HOLD))
    if WITHDRAW in effects.values():
        assert isinstance(verdict, Withdraw), "restriction comes first"
    else:
        assert verdict == (Hold(holding) if holding else PASS)


@given(found_sets)
def test_a_rule_stops_the_sinks_it_names_and_no_other(found: set[Found]) -> None:
    record = golden(provider_status="active")
    sinks = ("directory", "enrollment", "billing")
    for sink, verdict in by_sink(record, found, judge(record, found, was_known=True), sinks).items():
        effects = {CODES[f.code].effect_on(sink) for f in found if not CODES[f.code].local}
        wanted = Withdraw if WITHDRAW in effects else Hold if HOLD in effects else type(PASS)
        assert isinstance(verdict, wanted)


@pytest.mark.parametrize("kind", ["location", "organization"])
def test_reference_kinds_have_no_status(kind: str) -> None:
    assert (
        judge(
            golden(kind, **{"location": {"name": "x"}, "organization": {"legal_name": "x"}}[kind]),
            [],
            was_known=True,
        )
        == PASS
    )


def test_an_unknown_reference_holds() -> None:
    verdict = judge(
        golden(provider_status="active"), [Found("reference.unknown", "location/x")], was_known=True
    )
    assert verdict == Hold(("reference.unknown",))
