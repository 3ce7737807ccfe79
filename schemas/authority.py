"""Loads `authority.toml`: who owns each canonical field. What leaves it is the core's `Authority`.

Outside input: pydantic reads its shape, this module checks it against the catalogue (every canonical field has
exactly one owner, every name is known). It decides nothing about values; `streams.core.entity.golden` does.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.catalog import Catalog, load_catalog
from streams.core.authority import Authority, compile_owners
from streams.errors import InvalidInput

System = Literal["credentialing", "enrollment", "directory", "billing", "stewardship"]


class RecordRule(BaseModel):
    """One canonical record: its owner, and the fields another system owns."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    owner: System
    rule: Literal["source_of_truth"] = "source_of_truth"
    fields: dict[str, System] = Field(default_factory=dict)


class AuthorityFile(BaseModel):
    """The file: a version and one table a record."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    version: int
    record: dict[str, RecordRule]


def load_authority(path: Path | None = None, catalog: Catalog | None = None) -> Authority:
    """The packaged authority, or that of `path`; InvalidInput says which record or field is wrong."""
    if path is None and catalog is None:
        return _packaged()
    text = path.read_text() if path else files("schemas").joinpath("authority.toml").read_text()
    return _compile(text, str(path or "authority.toml"), catalog or load_catalog())


@cache
def _packaged() -> Authority:
    return _compile(files("schemas").joinpath("authority.toml").read_text(), "authority.toml", load_catalog())


def _compile(text: str, name: str, catalog: Catalog) -> Authority:
    try:
        parsed = AuthorityFile.model_validate(tomllib.loads(text))
    except (ValidationError, tomllib.TOMLDecodeError) as error:
        raise InvalidInput("authority.unreadable", f"{name}: {error}", "correct the file") from None
    _check(parsed, name, catalog)
    owners = {
        record: {field: rule.fields.get(field, rule.owner) for field in catalog.records[record].fields}
        for record, rule in parsed.record.items()
    }
    keepers = {record: rule.owner for record, rule in parsed.record.items()}
    return compile_owners(parsed.version, owners, keepers)


def _check(parsed: AuthorityFile, name: str, catalog: Catalog) -> None:
    unknown = [r for r in parsed.record if r not in catalog.records]
    unowned = [r for r in catalog.records if r not in parsed.record]
    fields = [
        f"{record}.{field}"
        for record, rule in parsed.record.items()
        if record in catalog.records
        for field in rule.fields
        if field not in catalog.records[record].fields
    ]
    for code, names in (("record_unknown", unknown), ("record_unowned", unowned), ("field_unknown", fields)):
        if names:
            raise InvalidInput(
                f"authority.{code}",
                f"{name}: {', '.join(sorted(names))}",
                "every record of canonical.toml needs one table here, and every name must stand there",
            )
