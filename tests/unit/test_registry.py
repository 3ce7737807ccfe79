"""Which file becomes which subject, before any registry is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.registry import schema_files
from streams.errors import InvalidInput
from streams.topics import CATALOGUE


def test_every_shipped_schema_belongs_to_a_topic_of_the_catalogue() -> None:
    topics = {topic.name for topic in CATALOGUE}
    assert {file.topic for file in schema_files()} <= topics


def test_every_sink_topic_has_a_schema() -> None:
    sinks = {topic.name for topic in CATALOGUE if topic.name.startswith("sink.")}
    assert sinks <= {file.topic for file in schema_files()}


def test_a_file_names_its_topic_and_version(tmp_path: Path) -> None:
    (tmp_path / "view").mkdir()
    (tmp_path / "view" / "directory.provider.v10.avsc").write_text('"string"')
    (tmp_path / "view" / "directory.provider.v2.avsc").write_text('"string"')
    found = schema_files(tmp_path, prefix="t1.")
    named = [(file.subject, file.version) for file in found if ".directory." in file.topic]
    assert named == [
        ("t1.sink.directory.provider-value", 2),
        ("t1.sink.directory.provider-value", 10),
    ]


@pytest.mark.parametrize(
    "name", ["directory.provider.avsc", "directory.provider.v0.avsc", "Directory.v1.avsc"]
)
def test_a_file_with_another_name_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('"string"')
    with pytest.raises(InvalidInput) as caught:
        schema_files(tmp_path)
    assert caught.value.code == "registry.file"


def test_a_file_that_is_no_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "finding.v1.avsc").write_text("{")
    with pytest.raises(InvalidInput) as caught:
        schema_files(tmp_path)
    assert caught.value.code == "registry.syntax"
