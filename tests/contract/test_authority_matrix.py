"""The authority matrix, complete by enumeration: every canonical field has its row, every word is explained."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from schemas.authority import FieldAuthority, load_rules
from schemas.authority_file import EDITORS, Level, Policy, Rule, Write
from schemas.catalog import load_catalog, load_mappings
from streams.operate import matrix
from streams.systems import SYSTEMS

FIELDS = [(record.name, field) for record in load_catalog().records.values() for field in record.fields]
MATRIX = load_rules()


def rows() -> list[FieldAuthority]:
    return list(MATRIX)


def test_every_canonical_field_is_owned_and_nothing_else_is() -> None:
    assert sorted((field.record, field.field) for field in rows()) == sorted(FIELDS)


@pytest.mark.parametrize(("record", "field"), FIELDS)
def test_a_field_has_an_owner_a_source_and_a_policy_for_everyone_else(record: str, field: str) -> None:
    found = MATRIX.records[record][field]
    heard = found.owners[:1] if found.rule == "precedence" else found.owners
    assert found.owners
    assert found.source
    assert set(found.policies) == set(EDITORS) - set(heard)


def test_every_system_that_holds_a_field_is_told_whether_it_is_written() -> None:
    for system, mapping in load_mappings().items():
        for table in mapping.tables.values():
            for column in table.columns:
                record, field = table.target(column)
                assert system in MATRIX.records[record][field].write


def test_the_keeper_of_a_record_is_a_system_or_a_witness_that_the_core_hears() -> None:
    authority = MATRIX.authority()
    for record, keeper in MATRIX.keepers.items():
        assert keeper in authority.admitted[record]


def test_a_restriction_that_holds_at_once_is_released_by_people() -> None:
    """Restriction first: no approval step can delay a HOLD."""
    held = [field for field in rows() if "HOLD" in (field.approval, *field.approval_for.values())]
    assert {"license.status", "exclusion_hit.disposition", "provider.provider_status"} <= {
        f.name for f in held
    }
    assert all(field.approval_for["release"] in ("A2", "A3") for field in held)


def test_the_page_is_up_to_date() -> None:
    assert matrix.PAGE.read_text("utf-8") == matrix.markdown(), "run `python -m streams.operate.matrix`"


@pytest.mark.parametrize(
    ("explained", "vocabulary"),
    [
        (matrix.RULES, get_args(Rule)),
        (matrix.POLICIES, get_args(Policy)),
        (matrix.LEVELS, get_args(Level)),
        (matrix.WRITES, get_args(Write)),
    ],
)
def test_the_page_explains_every_word(explained: dict[str, str], vocabulary: tuple[str, ...]) -> None:
    assert set(explained) == set(vocabulary)


def test_the_head_of_the_file_explains_every_word() -> None:
    head = (matrix.PAGE.parents[1] / "schemas" / "authority.toml").read_text("utf-8").split("version =", 1)[0]
    for vocabulary in (Rule, Policy, Level, Write):
        assert set(get_args(vocabulary)) <= set(re.findall(r"\w+", head))


def test_systems_are_those_that_have_a_mapping() -> None:
    assert set(SYSTEMS) == set(load_mappings())
