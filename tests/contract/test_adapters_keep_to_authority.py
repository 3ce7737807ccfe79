"""Invariant 9: what adapters write and what their roles may write is what the authority file says, column by column."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from connectors.credentialing.adapter import ASKED
from connectors.described import DESCRIBED
from connectors.run import TARGETS
from connectors.sink import Request, View
from connectors.stewardship.adapter import COLUMNS
from connectors.systems import HERE, SYSTEMS
from connectors.table import Children, System
from schemas.authority import FieldAuthority, load_rules
from schemas.catalog import Table, load_mapping
from streams.core.held import ASIDE, BELOW
from streams.systems import ADAPTED


def _no_request(view: View) -> Request:
    raise NotImplementedError("its adapter writes rows of its own")


STEWARDSHIP = System(
    "stewardship", _no_request, {}, {"provider": Children("proposal", "", (), {}, (), frozenset(COLUMNS))}, {}
)
ADAPTERS = {**DESCRIBED, STEWARDSHIP.name: STEWARDSHIP}
each_adapter = pytest.mark.parametrize("system", ADAPTERS.values(), ids=ADAPTERS)


def columns(system: System) -> Iterator[tuple[Table, str, FieldAuthority]]:
    """Every mapped column of a target, and what the authority file says of its field."""
    for table in load_mapping(system.name).tables.values():
        for column in table.columns:
            record, field = table.target(column)
            yield table, column, load_rules().records[record][field]


def granted(system: str) -> set[tuple[str, str]]:
    """(table, column) the adapter's role may insert or update; "*" is a whole table."""
    text = re.sub(r"--.*", "", (HERE / system / "capture.sql").read_text("utf-8"))
    found: set[tuple[str, str]] = set()
    for what, tables, role in re.findall(r"grant ([^;]*?)\son\s([^;]*?)\sto\s+(\w+);", text):
        if role == SYSTEMS[system].adapter_role and not tables.startswith(("sequence", "schema")):
            for _, names in re.findall(r"(insert|update)\s*(?:\(([^)]*)\))?", what):
                named = re.findall(r"\w+", names) or ["*"]
                found |= {(table, name) for table in re.findall(r"\w+", tables) for name in named}
    return found


def test_every_adapter_is_compared() -> None:
    assert ADAPTERS.keys() == TARGETS.keys()


@each_adapter
def test_an_adapter_writes_exactly_the_columns_that_authority_lets_it_write(system: System) -> None:
    written = {(table, column) for table, names in system.written().items() for column in names}
    allowed = {(table.name, column) for table, column, field in columns(system) if may_write(field, system)}
    mapped = {(table.name, column) for table, column, _ in columns(system)}
    assert written & mapped == allowed


@each_adapter
def test_a_column_an_adapter_calls_its_systems_own_is_never_written(system: System) -> None:
    owned = {(table, column) for table, names in system.owned.items() for column in names}
    never = {(t.name, column) for t, column, field in columns(system) if not may_write(field, system)}
    mapped = {(table.name, column) for table, column, _ in columns(system)}
    assert owned & mapped <= never


@each_adapter
def test_an_adapters_role_may_write_no_column_that_authority_forbids(system: System) -> None:
    rights = granted(system.name)
    for table, column, field in columns(system):
        if not may_write(field, system):
            assert not {(table.name, column), (table.name, "*")} & rights, (
                f"{field.name}: {table.name}.{column}"
            )


@each_adapter
def test_an_adapters_role_may_write_every_column_that_authority_allows(system: System) -> None:
    rights = granted(system.name)
    for table, column, field in columns(system):
        if may_write(field, system):
            assert (table.name, column) in rights, f"{field.name}: {table.name}.{column}"


def test_the_masters_adapter_may_set_what_others_may_propose_and_nothing_else() -> None:
    ours = {"concord_applied", "concord_pending", "concord_request", "concord_offset", "concord_shape"}
    rights = {(table, column) for table, column in granted("credentialing") if table not in ours}
    below = proposed_below()
    assert rights == {(table, column) for table, names in ASKED.items() for column in names}
    assert rights == {
        (table.name, column)
        for table in load_mapping("credentialing").tables.values()
        for column in table.columns
        if (
            may_be_proposed(load_rules().records[table.record][table.columns[column]])
            if table.record == table.kind
            else table.target(column) in below
        )
    }


def proposed_below() -> set[tuple[str, str]]:
    """(record, field) of rows below the master's root rows that another system is written, and may propose."""
    below = {(path.rpartition(".")[0] or record, path.rpartition(".")[2]) for record, path in PATHS}
    aside = {tuple(name.rsplit(".", 1)) for name in ASIDE.values() if "." in name}
    return {
        (record, name)
        for record, name in below | aside
        for system in ADAPTED
        if (rule := load_rules().records[record][name]).write.get(system, "never") != "never"
        and rule.policies.get(system, rule.others) in ("propose", "auto_accept")
        and "credentialing" in rule.owners
    }


PATHS = [(record, path) for record, below in BELOW.items() for path in below.fields]


def may_be_proposed(field: FieldAuthority) -> bool:
    return "credentialing" in field.owners and bool(
        {"propose", "auto_accept"} & {field.others, *field.policies.values()}
    )


def test_a_field_is_held_in_one_column_of_a_system() -> None:
    for system in ADAPTERS.values():
        names = [field.name for _, _, field in columns(system)]
        assert len(names) == len(set(names))


@pytest.mark.parametrize("system", sorted(SYSTEMS.keys() - ADAPTERS.keys()))
def test_a_system_without_an_adapter_is_never_written(system: str) -> None:
    for field in load_rules():
        assert field.write.get(system, "never") == "never", field.name


def may_write(field: FieldAuthority, system: System) -> bool:
    return field.write[system.name] != "never"
