"""Gates: restriction comes first, a hold never delays a withdrawal, an unknown reference withdraws nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.entity import Golden
from streams.core.finding import CODES, HOLD, Found
from streams.core.gate import PASS, Hold, Withdraw, judge
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
    holding = tuple(sorted(f.code for f in found if CODES[f.code].effect == HOLD))
    assert verdict == (Hold(holding) if holding else PASS)


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
