"""The shapes of `canonical.toml` and `mapping/<system>.toml`, as people write them.

    text --strict.parse--> CatalogFile, MappingFile --catalog--> Catalog, Mapping

Names and types only; schemas/catalog_check.py knows what doesn't agree with what.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

FieldType = Literal["text", "integer", "boolean", "date", "timestamp", "decimal", "json", "text_list", "uuid"]
FieldClass = Literal["public", "S2", "S1"]
Mode = Literal["state", "log"]


class _Outside(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class FieldFile(_Outside):
    """name = { type, class }"""

    type: FieldType
    cls: FieldClass = Field(alias="class")


class RecordFile(_Outside):
    """[record] and [record.fields]"""

    kind: str
    fields: dict[str, FieldFile] = Field(min_length=1)


class CatalogFile(RootModel[dict[str, RecordFile]]):
    """canonical.toml: one table a record."""


class TableFile(_Outside):
    """[table.X]: whose rows they are, and [table.X.columns]: column = canonical field. `unmapped`: columns that are
    left out on purpose; any other one is told as new."""

    kind: str
    record: str
    entity: str
    row: str
    mode: Mode
    unmapped: list[str] = Field(default_factory=list)
    columns: dict[str, str]


class MappingFile(_Outside):
    """mapping/<system>.toml"""

    system: str
    version: int = Field(ge=1)
    rekeyed: bool
    table: dict[str, TableFile] = Field(min_length=1)
