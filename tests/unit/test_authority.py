"""The authority file, read strictly: what it may not say is refused with the record or field named."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.authority import load_authority
from streams.core.authority import compile_owners, owned_by
from streams.errors import InvalidInput
from tests.strategies import CATALOG

HEAD = "version = 3\n"
ALL = "".join(f'[record.{record}]\nowner = "credentialing"\n' for record in CATALOG.records)


def load(tmp_path: Path, text: str):  # type: ignore[no-untyped-def]
    file = tmp_path / "authority.toml"
    file.write_text(text)
    return load_authority(file)


def refusal(tmp_path: Path, text: str) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        load(tmp_path, text)
    return caught.value


def test_a_field_another_system_owns_is_admitted_from_that_system_only(tmp_path: Path) -> None:
    text = HEAD + ALL.replace(
        '[record.location]\nowner = "credentialing"\n',
        '[record.location]\nowner = "credentialing"\n[record.location.fields]\nurl = "directory"\n',
    )
    authority = load(tmp_path, text)
    assert authority.version == 3
    assert authority.owners["location"]["url"] == "directory"
    assert authority.admitted["location"]["directory"] == frozenset({"url"})
    ours = authority.admitted["location"]["credentialing"]
    assert ours is not None
    assert "url" not in ours
    assert authority.keepers["location"] == "credentialing"
    assert authority.admitted["license"] == {"credentialing": None}


@pytest.mark.parametrize(
    ("text", "code", "named"),
    [
        (HEAD + "[record", "authority.unreadable", ""),
        (ALL, "authority.unreadable", "version"),
        (HEAD + ALL + '[record.spell]\nowner = "credentialing"\n', "authority.record_unknown", "spell"),
        (
            HEAD + ALL.replace('[record.license]\nowner = "credentialing"\n', ""),
            "authority.record_unowned",
            "license",
        ),
        (
            HEAD + ALL + '[record.license.fields]\ncolour = "billing"\n',
            "authority.field_unknown",
            "license.colour",
        ),
        (HEAD + ALL.replace("credentialing", "nobody", 1), "authority.unreadable", "owner"),
        (HEAD + ALL + '[record.license.fields]\nstate = "nobody"\n', "authority.unreadable", "state"),
        (HEAD + ALL + "[record.license.extra]\n", "authority.unreadable", "extra"),
    ],
)
def test_what_the_file_may_not_say_is_refused_by_name(
    tmp_path: Path, text: str, code: str, named: str
) -> None:
    error = refusal(tmp_path, text)
    assert error.code == code
    assert named in error.message
    assert error.next_step


def test_one_owner_of_everything_admits_every_field() -> None:
    authority = owned_by("directory", {"license": ["state", "status"]})
    assert authority.admitted == {"license": {"directory": None}}
    assert authority.keepers == {"license": "directory"}


def test_fields_of_several_owners_are_parted_without_rest() -> None:
    owners = {"license": {"state": "a", "status": "b", "number": "a"}}
    admitted = compile_owners(1, owners, {"license": "a"}).admitted["license"]
    assert admitted == {"a": frozenset({"state", "number"}), "b": frozenset({"status"})}
