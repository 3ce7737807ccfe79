"""The catalogue and the mappings: what ships is sound, and what is wrong is refused with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.catalog import load_catalog, load_mapping, load_mappings
from streams.errors import ConcordError, EnvironmentFault, InvalidInput
from streams.systems import REKEYED, SYSTEMS

CANONICAL = """
[provider]
kind = "provider"
[provider.fields]
npi = { type = "text", class = "public" }
[license]
kind = "provider"
[license.fields]
state = { type = "text", class = "S2" }
expires = { type = "date", class = "S2" }
"""

MAPPING = """
system = "clinic"
version = 3
rekeyed = true
[table.permit]
kind = "provider"
record = "license"
entity = "person_no"
row = "permit_no"
mode = "state"
[table.permit.columns]
st = "state"
"""


def folder(tmp_path: Path, canonical: str = CANONICAL, mapping: str = MAPPING) -> Path:
    (tmp_path / "mapping").mkdir()
    (tmp_path / "canonical.toml").write_text(canonical)
    (tmp_path / "mapping" / "clinic.toml").write_text(mapping)
    return tmp_path


def refusal(tmp_path: Path, mapping: str = MAPPING, canonical: str = CANONICAL) -> ConcordError:
    with pytest.raises(InvalidInput) as caught:
        load_mapping("clinic", directory=folder(tmp_path, canonical, mapping))
    assert caught.value.next_step
    return caught.value


def test_every_shipped_mapping_agrees_with_the_shipped_catalogue() -> None:
    mappings = load_mappings()
    assert set(mappings) == set(SYSTEMS)
    assert {name for name, mapping in mappings.items() if mapping.rekeyed} == set(REKEYED)


def test_no_shipped_mapping_captures_a_social_security_number() -> None:
    captured = {
        column for m in load_mappings().values() for table in m.tables.values() for column in table.captured
    }
    assert "ssn" not in captured


def test_a_hospital_with_other_names_needs_only_a_file(tmp_path: Path) -> None:
    table = load_mapping("clinic", directory=folder(tmp_path)).tables["permit"]
    assert table.qualified == "public.permit"
    assert table.key == ("person_no", "permit_no")
    assert table.captured == ("person_no", "permit_no", "st")
    assert table.target("st") == ("license", "state")


def test_a_column_may_claim_a_field_of_another_record(tmp_path: Path) -> None:
    mapping = MAPPING + 'npi_no = "provider.npi"\n'
    table = load_mapping("clinic", directory=folder(tmp_path, mapping=mapping)).tables["permit"]
    assert table.target("npi_no") == ("provider", "npi")


def test_a_root_table_has_its_id_in_the_key_once(tmp_path: Path) -> None:
    mapping = MAPPING.replace('row = "permit_no"', 'row = "person_no"')
    assert load_mapping("clinic", directory=folder(tmp_path, mapping=mapping)).tables["permit"].key == (
        "person_no",
    )


def test_a_loaded_catalogue_cannot_be_changed(tmp_path: Path) -> None:
    catalog = load_catalog(folder(tmp_path))
    with pytest.raises(TypeError):
        catalog.records["provider"] = catalog.records["license"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("change", "code", "named"),
    [
        (('st = "state"', 'st = "stat"'), "mapping.field", "column st"),
        (('record = "license"', 'record = "licence"'), "mapping.record", "table permit"),
        (('kind = "provider"', 'kind = "location"'), "mapping.kind", "table permit"),
        (('st = "state"', 'st = "state"\nst2 = "state"'), "mapping.duplicate", "column st2"),
        (('st = "state"', 'ssn = "state"'), "schema.restricted", "column ssn"),
        (('mode = "state"', 'mode = "journal"'), "mapping.name_unknown", "table.permit.mode"),
        (("version = 3", "version = 3\nowner = 1"), "mapping.key_unknown", "owner"),
        (('mode = "state"', 'mode = "state"\nshard = 1'), "mapping.key_unknown", "table.permit.shard"),
        (("version = 3", "version = = 3"), "mapping.syntax", "clinic.toml:3"),
        (('system = "clinic"', 'system = "other"'), "mapping.system", "other"),
    ],
)
def test_a_wrong_mapping_is_refused_with_file_and_place(
    tmp_path: Path, change: tuple[str, str], code: str, named: str
) -> None:
    error = refusal(tmp_path, MAPPING.replace(*change))
    assert error.code == code
    assert "clinic.toml" in error.message
    assert named in error.message


def test_a_catalogue_may_not_even_name_a_social_security_number(tmp_path: Path) -> None:
    error = refusal(tmp_path, canonical=CANONICAL + 'ssn = { type = "text", class = "S1" }\n')
    assert error.code == "schema.restricted"


def test_an_unknown_type_is_refused_with_its_field(tmp_path: Path) -> None:
    error = refusal(tmp_path, canonical=CANONICAL.replace('"date"', '"day"'))
    assert "license.fields.expires.type" in error.message
    assert "did you mean 'date'?" in error.message


def test_every_problem_of_a_mapping_is_told_at_once_with_its_line_and_the_nearest_name(
    tmp_path: Path,
) -> None:
    wrong = MAPPING.replace('mode = "state"', 'mod = "state"').replace('row = "permit_no"', "row = 7")
    error = refusal(tmp_path, wrong)
    assert "clinic.toml:10: table.permit.mod: unknown key 'mod'; did you mean 'mode'?" in error.message
    assert "clinic.toml:9: table.permit.row: a value of type int" in error.message
    assert "table.permit.mode is missing" in error.message


def test_an_unknown_field_is_answered_with_the_nearest_one(tmp_path: Path) -> None:
    wrong = MAPPING.replace('st = "state"', 'st = "stat"\nuntil = "expired"')
    folder(tmp_path, mapping=wrong)
    with pytest.raises(InvalidInput) as caught:
        load_mapping("clinic", directory=tmp_path)
    assert "clinic.toml:12: table permit: column st: record 'license' has no field 'stat'; " in str(
        caught.value
    )
    assert "did you mean 'state'?" in str(caught.value)
    assert "clinic.toml:13: table permit: column until" in str(caught.value)


def test_a_key_said_twice_is_refused_with_both_lines(tmp_path: Path) -> None:
    error = refusal(tmp_path, MAPPING.replace('st = "state"', 'st = "state"\nst = "expires"'))
    assert error.code == "mapping.duplicate"
    assert "on line 12 and on line 13" in error.message


def test_an_unknown_key_of_a_field_is_answered_with_the_nearest_one(tmp_path: Path) -> None:
    error = refusal(tmp_path, canonical=CANONICAL.replace('class = "public"', 'clas = "public"', 1))
    assert (
        "canonical.toml:5: provider.fields.npi.clas: unknown key 'clas'; did you mean 'class'?"
        in error.message
    )


def test_a_missing_file_is_a_fault_of_the_surroundings(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match=r"canonical\.toml"):
        load_catalog(tmp_path)
