"""What `concord mapping check` says of what it saw: every problem has a place and a cure that can be pasted."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest

from connectors.mapping_check import Problem, judge
from connectors.source import APPLIED, CANARY, HEARTBEAT, SIGNAL
from connectors.survey import Column, Facts, Survey
from schemas.catalog import Catalog, Field, Mapping, Record, Table

CATALOG = Catalog(
    {"license": Record("license", "provider", {"state": Field("text", "S2"), "at": Field("date", "S2")})}
)
TABLE = Table("Permit", "provider", "license", "person", "permit", "state", {"st": "state", "until": "at"})
MAPPING = Mapping("clinic", 1, False, MappingProxyType({"Permit": TABLE}))
NAME = "public.Permit"


def column(type_: str, required: bool = False, readable: bool = True) -> Column:
    return Column(type_, enum=False, required=required, readable=readable)


SOUND = Facts(
    columns={
        "person": column("uuid", required=True),
        "permit": column("uuid", required=True),
        "st": column("bpchar"),
        "until": column("date"),
    },
    identity=("permit", "person"),
    primary=("permit",),
    published=("person", "permit", "st", "until", "note"),
)


def own(*columns: str, rights: tuple[str, ...] = ()) -> Facts:
    found = {name: column("text", required=True) for name in columns}
    return Facts(found, identity=columns, published=columns, rights=frozenset(rights))


def seen(facts: Facts | None, **changes: Facts) -> Survey:
    tables = {
        APPLIED.qualified: own(*APPLIED.captured),
        CANARY.qualified: own(*CANARY.captured),
        SIGNAL: own("id", "type", "data", rights=("select", "insert")),
        HEARTBEAT: own("id", "at", rights=("update",)),
        **changes,
    }
    return Survey(tables | ({NAME: facts} if facts else {}))


def only(survey: Survey) -> Problem:
    [problem] = judge(MAPPING, CATALOG, survey)
    assert problem.fix
    return problem


def with_column(name: str, wanted: Column) -> Facts:
    return replace(SOUND, columns={**SOUND.columns, name: wanted})


def test_a_sound_database_has_no_problems() -> None:
    assert judge(MAPPING, CATALOG, seen(SOUND)) == []


def test_a_missing_table_is_named() -> None:
    problem = only(seen(None))
    assert (problem.code, problem.where) == ("mapping.missing_table", "clinic.public.Permit")


def test_a_missing_column_suggests_the_one_that_was_meant() -> None:
    columns = {name: found for name, found in SOUND.columns.items() if name != "until"}
    problem = only(seen(replace(SOUND, columns={**columns, "until_": column("date")})))
    assert problem.code == "mapping.missing_column"
    assert "did you mean until_?" in problem.message


def test_a_column_that_was_renamed_is_told_once_with_its_new_name_and_the_mappings_line() -> None:
    columns = {name: found for name, found in SOUND.columns.items() if name != "until"}
    renamed = replace(SOUND, columns={**columns, "valid_to": column("date")})
    [problem] = judge(with_lines(), CATALOG, seen(renamed))
    assert "valid_to is in no mapping: was it renamed?" in problem.message
    assert problem.place == "schemas/mapping/clinic.toml:15 Permit.until"


def test_a_table_that_was_renamed_is_told_with_what_is_published_instead() -> None:
    [problem] = judge(with_lines(), CATALOG, replace(seen(None), strangers=("public.Permits",)))
    assert "public.Permits is published and in no mapping: was it renamed?" in problem.message
    assert problem.place == "schemas/mapping/clinic.toml:7 Permit"


def test_a_new_column_is_a_decision_to_take_and_nothing_fails_meanwhile() -> None:
    [problem] = judge(with_lines(), CATALOG, seen(with_column("note", column("text"))))
    assert (problem.code, problem.warning) == ("mapping.unmapped", True)
    assert problem.place == "schemas/mapping/clinic.toml:7 Permit.note"
    assert "concord schema new-field" in problem.fix
    assert "`unmapped` of [table.Permit]" in problem.fix


@pytest.mark.parametrize("name", ["ssn", "left_out"])
def test_a_column_that_is_left_out_on_purpose_is_not_told(name: str) -> None:
    table = replace(TABLE, unmapped=("left_out",))
    mapping = replace(MAPPING, tables=MappingProxyType({"Permit": table}))
    published = replace(with_column(name, column("text")), published=("person", "permit", "st", "until"))
    assert judge(mapping, CATALOG, seen(published)) == []


def with_lines() -> Mapping:
    """As if it had been read from a file."""
    table = replace(TABLE, lines={"": 7, "person": 10, "permit": 11, "st": 14, "until": 15})
    return replace(MAPPING, tables=MappingProxyType({"Permit": table}))


@pytest.mark.parametrize("type_", ["int4", "float8", "date"])
def test_a_text_field_cannot_come_from_a_column_that_loses_zeros(type_: str) -> None:
    assert only(seen(with_column("st", column(type_)))).code == "mapping.type"


def test_an_enum_is_text() -> None:
    enum = Column("permit_state", enum=True, required=False, readable=True)
    assert judge(MAPPING, CATALOG, seen(with_column("st", enum))) == []


def test_a_key_that_may_be_null_is_cured_by_not_null() -> None:
    problem = only(seen(with_column("person", column("uuid"))))
    assert 'alter table "public"."Permit" alter column "person" set not null;' in problem.fix


def test_a_replica_identity_without_the_entity_is_cured_by_an_index() -> None:
    problem = only(seen(replace(SOUND, identity=("permit",))))
    assert problem.code == "mapping.replica_identity"
    assert 'on "public"."Permit" ("permit", "person");' in problem.fix
    assert 'replica identity using index "Permit_concord_identity";' in problem.fix


def test_full_identity_is_a_problem_too() -> None:
    assert only(seen(replace(SOUND, identity=None))).code == "mapping.replica_identity"


def test_an_unpublished_table_is_added_to_the_publication() -> None:
    problem = only(seen(replace(SOUND, published=None)))
    assert problem.fix == 'alter publication "concord" add table "public"."Permit";'


def test_a_table_with_a_restricted_column_is_added_with_a_column_list() -> None:
    facts = replace(with_column("ssn", column("bpchar")), published=None)
    assert only(seen(facts)).fix.endswith('add table "public"."Permit" ("person", "permit", "st", "until");')


def test_a_column_list_that_lacks_a_mapped_column_is_replaced_in_one_transaction() -> None:
    problem = only(seen(replace(SOUND, published=("person", "permit", "st"))))
    assert problem.code == "mapping.partly_published"
    assert problem.fix.startswith("begin;")
    assert "until" in problem.message


def test_a_row_filter_hides_rows() -> None:
    assert only(seen(replace(SOUND, row_filter="(st = 'IL')"))).code == "mapping.partly_published"


def test_a_column_the_capture_role_may_not_read_is_granted_alone() -> None:
    problem = only(seen(with_column("until", column("date", readable=False))))
    assert problem.fix == 'grant select ("until") on "public"."Permit" to "concord_capture";'


def test_capture_must_be_able_to_signal_and_to_beat() -> None:
    survey = seen(SOUND, **{SIGNAL: own("id", "type", "data", rights=("select",))})
    assert only(survey).fix == 'grant insert on "public"."concord_signal" to "concord_capture";'


def test_a_publication_without_truncates_would_hide_them() -> None:
    problem = only(replace(seen(SOUND), events=frozenset({"insert", "update", "delete"})))
    assert "truncate" in problem.message


def test_a_missing_role_is_the_only_problem_told() -> None:
    assert only(Survey(role=False)).code == "mapping.role"
