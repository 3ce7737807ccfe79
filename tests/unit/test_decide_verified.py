"""A verification's word in the decide hop: a view goes out once more, and what diverges is a finding until it doesn't."""

from __future__ import annotations

import pytest

from streams.agents import control
from streams.agents.control import AssertAgain, Diverges
from streams.engine.memory import Record
from streams.engine.producer import Output
from tests.fixtures.decider import PROVIDER, Bench, findings, person, views
from tests.world import belongings

pytestmark = pytest.mark.usefixtures("logs")

AGAIN = AssertAgain("directory", "provider", "provider-0", "concord-repair-1")


def diverges(**rows: str) -> Diverges:
    return Diverges("credentialing", "license", "provider", "provider-0", rows)


@pytest.fixture
def decided(known: Bench) -> Bench:
    known.commit(person(), *belongings())
    known.settle()
    return known


def say(bench: Bench, said: AssertAgain | Diverges) -> list[Output]:
    """One record of `clock`, and what follows."""
    outputs = bench.work([Record("clock", 0, bench.offset, b"verify", control.encode(said), [], 1_000)])
    bench.offset += 1
    return outputs + bench.settle()


def test_a_view_that_is_asserted_again_goes_out_under_a_new_revision_and_no_other_does(
    decided: Bench,
) -> None:
    before = decided.entity()
    assert views(say(decided, AGAIN)) == [f"directory.provider provider-0 {before.revision + 1}"]
    after = decided.entity()
    assert after.sent["directory"].content == before.sent["directory"].content
    assert (after.again, after.dirty) == ([], None)


def test_what_is_to_be_asserted_again_outlives_a_restart(decided: Bench) -> None:
    decided.work([Record("clock", 0, decided.offset, b"verify", control.encode(AGAIN), [], 1_000)])
    if decided.entity().again:
        assert decided.partition.store.dirty() == [PROVIDER]
    decided.restart()
    decided.settle()
    assert decided.entity().again == []
    assert decided.entity().sent["directory"].revision == decided.entity().revision == 2


def test_a_view_that_was_never_sent_is_not_asserted_again(known: Bench) -> None:
    assert views(say(known, AGAIN)) == []
    assert known.state.outcomes["clock"]["unmapped"] == 1


def test_a_row_that_diverges_is_a_finding_until_a_verification_finds_it_equal(decided: Bench) -> None:
    opened = findings(say(decided, diverges(**{"license-0": "verify.different"})))
    assert opened == ["provider/provider-0 verify.different license/license-0/credentialing"]
    assert findings(say(decided, diverges(**{"license-0": "verify.different"}))) == [], "said once"
    closed = findings(say(decided, diverges()))
    assert closed == opened
    assert decided.entity().findings == {}


def test_what_is_found_of_one_table_leaves_what_was_found_of_another(decided: Bench) -> None:
    say(decided, diverges(**{"license-0": "verify.missing"}))
    say(decided, Diverges("credentialing", "taxonomy", "provider", "provider-0", {"t": "verify.extra"}))
    say(decided, diverges())
    assert decided.entity().diverging == {"taxonomy/t/credentialing": "verify.extra"}


def test_a_divergence_changes_no_view(decided: Bench) -> None:
    assert views(say(decided, diverges(**{"license-0": "verify.missing"}))) == []
