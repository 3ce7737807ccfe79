"""Topic `entity` is lost, and everything is read again from the systems: the same golden records, what was sent under a
lower revision is said again above the one each system holds, and changes go on to flow (docs/rebuild.md)."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.envelope import Change
from streams.core import parity
from streams.core.advance import REBUILT
from streams.core.gate import Hold
from streams.operate.rehearsal import Desk, Target
from streams.operate.sandbox import SYSTEM, Sandbox
from tests.unit.test_two_way_settles import (
    FIRST_DAY,
    PLACES,
    ROWS,
    STEPS,
    TARGETS,
    act,
    assert_settled,
    start,
)
from tests.world import AUTHORITY

ANN = "provider/ann"


def read_again(
    old: Sandbox, folder: str, master: dict[str, dict[str, Any]], order: list[str], *, together: bool = False
) -> Sandbox:
    """A platform that knows nothing in front of the same systems, which are read in this order under a new epoch."""
    sandbox = Sandbox(Path(folder), tuple(old.targets))
    sandbox.targets, sandbox.source = old.targets, old.source
    places = [Change("practice_location", dict(place)) for place in PLACES]
    rows = {SYSTEM: [*places, *(Change(table, dict(row)) for table, row in master.items())]}
    rows |= {name: target.everything() for name, target in old.targets.items()}
    sandbox.at(old.source.day)
    sandbox.source.epoch += 1
    for target in sandbox.targets.values():
        target.source.epoch += 1
    sandbox.deliveries = 0  # a connector streams nothing before it has read
    for group in [order] if together else [[system] for system in order]:
        sandbox.snapshots({system: rows[system] for system in group})
    sandbox.deliveries = None
    sandbox.settle()
    return sandbox


def golden(sandbox: Sandbox) -> dict[tuple[str, str], dict[str, Any]]:
    """What the master alone says: by record and row."""
    rules = AUTHORITY.rules
    return {
        (record, row_id): {
            field: getattr(row, field)
            for field in row.__struct_fields__
            if field in rules.get(record, {}) and rules[record][field].owners == (SYSTEM,)
        }
        for record, rows in sandbox.golden(ANN).items()
        if AUTHORITY.keepers.get(record) == SYSTEM
        for row_id, row in rows.items()
    }


def views(sandbox: Sandbox) -> dict[str, dict[str, Any]]:
    """What every system is to hold. Of one on hold nobody knows what it would: what its users wrote there, and nobody
    had ruled on, is no longer known for theirs."""
    verdicts = sandbox.verdicts(ANN) or {}
    return {
        system: {**sandbox.told.views[f"{system}/{ANN}"], "revision": None}
        for system in TARGETS
        if not isinstance(verdicts[system], Hold)
    }


@given(STEPS, st.permutations([SYSTEM, *TARGETS]), st.booleans())
@settings(max_examples=25)
def test_what_is_read_again_in_any_order_is_the_same_golden_record_and_every_system_holds_its_view(
    steps: list[tuple[str, dict[str, Any] | None]], order: list[str], together: bool
) -> None:
    with TemporaryDirectory() as first, TemporaryDirectory() as second:
        old = start(first)
        master = {table: dict(row) for table, row in ROWS.items()}
        master["provider"]["sex"] = "F"
        for number, (table, row) in enumerate(steps, 1):
            old.at(FIRST_DAY + number)
            act(old, master, table, row)
        true, held = golden(old), views(old)
        old.close()

        new = read_again(old, second, master, order, together=together)
        try:
            assert golden(new) == true
            now = views(new)
            assert {system: now.get(system) for system in held} == held
            assert_settled(new)
            assert_flows(new, master)
        finally:
            new.close()


def assert_flows(sandbox: Sandbox, master: dict[str, dict[str, Any]]) -> None:
    """A change of the master reaches every system that isn't on hold."""
    act(sandbox, master, "provider", {"last_name": "Later", "status": "active"})
    entity = sandbox.entity(ANN)
    assert entity is not None
    for system in TARGETS:
        if entity.parity[system].state in (parity.EQUAL, parity.LET_BE):
            target = sandbox.targets[system]
            assert isinstance(target, Target)
            assert "later" in str(target.held(ANN)).lower(), system


def test_what_is_sent_to_a_system_stands_above_what_it_holds_though_it_was_read_last() -> None:
    with TemporaryDirectory() as first, TemporaryDirectory() as second:
        old = start(first)
        master = {table: dict(row) for table, row in ROWS.items()}
        for name in ("One", "Two", "Three"):
            act(old, master, "provider", {"last_name": name})
        held = {system: old.told.views[f"{system}/{ANN}"]["revision"] for system in TARGETS}
        old.close()
        new = read_again(old, second, master, [SYSTEM, *TARGETS])
        said = {system: new.told.views[f"{system}/{ANN}"]["revision"] for system in TARGETS}
        new.close()
    assert all(said[system] > held[system] + REBUILT - 1 for system in TARGETS)


def test_what_changed_while_nobody_listened_arrives_though_the_number_is_the_one_each_system_holds() -> None:
    with TemporaryDirectory() as first, TemporaryDirectory() as second:
        old = Sandbox(Path(first), TARGETS)
        old.at(FIRST_DAY)
        places = [Change("practice_location", dict(place)) for place in PLACES]
        old.snapshot([*places, *(Change(table, dict(row)) for table, row in ROWS.items())])
        held = {system: old.told.views[f"{system}/{ANN}"]["revision"] for system in TARGETS}
        old.close()
        assert {*held.values()} == {1}
        master = {table: dict(row) for table, row in ROWS.items()}
        master["provider"]["last_name"] = "Elsewhere"
        new = read_again(old, second, master, [SYSTEM, *TARGETS])
        said = {system: new.told.views[f"{system}/{ANN}"]["revision"] for system in TARGETS}
        shown = {system: str(new.targets[system].held(ANN)).lower() for system in TARGETS}
        new.close()
    assert all("elsewhere" in each for each in shown.values()), shown
    assert all(said[system] > held[system] for system in TARGETS)


def test_who_is_read_in_several_systems_at_once_is_decided_when_they_are_complete() -> None:
    with TemporaryDirectory() as first, TemporaryDirectory() as second:
        old = start(first)
        old.close()
        master = {table: dict(row) for table, row in ROWS.items()}
        new = read_again(old, second, master, [SYSTEM, *TARGETS], together=True)
        said = {name for name in new.told.views if name.endswith(ANN)}
        new.close()
    assert said == {f"{system}/{ANN}" for system in TARGETS}


def test_an_open_proposal_that_nothing_is_left_of_ends_and_people_are_told() -> None:
    with TemporaryDirectory() as first, TemporaryDirectory() as second:
        old = Sandbox(Path(first), (*TARGETS, "stewardship"))
        old.at(FIRST_DAY)
        master = {table: dict(row) for table, row in ROWS.items()}
        places = [Change("practice_location", dict(place)) for place in PLACES]
        old.snapshot([*places, *(Change(table, dict(row)) for table, row in ROWS.items())])
        act(old, master, "provider", {"sex": "F"})
        act(old, master, "dir_provider", {"credential_text": "DO"})
        desk = old.targets["stewardship"]
        assert isinstance(desk, Desk)
        assert list(desk.held(ANN).values()) == ["awaiting_approval_1"]
        number = desk.number("directory/provider/1/degree")
        old.close()

        new = read_again(old, second, master, [SYSTEM, "stewardship", *TARGETS])
        assert list(desk.held(ANN).values()) == ["expired"]
        assert f"proposal.expired proposal/{number}" in new.told.findings[ANN]
        new.close()
