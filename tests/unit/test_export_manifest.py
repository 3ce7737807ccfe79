"""Deliveries of an export: what makes one whole, and what `--verify` finds."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sink import Partition, View
from streams.errors import InvalidInput
from streams.operate.export import files, manifest
from streams.operate.export.manifest import Kind, Manifest, Span
from streams.operate.export.spool import Progress, Spool
from streams.operate.export.take import Begin, Taken, started
from tests import views


def people(count: int, revision: int = 1) -> list[View]:
    return [views.provider("directory", views.entity(10 + n), revision) for n in range(count)]


def delivery(
    folder: Path, number: int, start: int, sent: list[View], kind: manifest.Kind = "delta"
) -> Manifest:
    """A delivery as take writes it."""
    here = folder / "new"
    here.mkdir()
    file = files.write(here, "directory", "provider", "jsonl", sent)
    made = Manifest(
        system="directory", number=number, kind=kind, why="", previous=number - 1 if kind == "delta" else None,
        form="jsonl", created_at="2026-11-22T03:00:00+00:00", files=[file],
        offsets=[Span("sink.directory.provider", 0, "id", start, start + len(sent))],
        read=len(sent), superseded=0, tombstones=0, undecodable=0,
    )  # fmt: skip
    manifest.write(here / manifest.NAME, made)
    here.rename(folder / made.folder)
    manifest.write(folder / manifest.NAME, made)
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    delivery(tmp_path, 1, 0, people(3), "complete")
    delivery(tmp_path, 2, 3, people(2, 2))
    return tmp_path


def test_what_was_written_is_whole(folder: Path) -> None:
    assert manifest.verify(folder) == []
    assert manifest.verify(folder / "directory-000002-delta") == []


def spoil(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"Wren", b"Wran"))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (spoil, "sha256"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "bytes, not"),
        (lambda path: path.unlink(), "missing"),
        (lambda path: path.with_name("more.jsonl").touch(), "doesn't list it"),
    ],
)
def test_damage_is_found(folder: Path, damage: Callable[[Path], object], says: str) -> None:
    damage(folder / "directory-000002-delta" / "provider.jsonl")
    (problem,) = manifest.verify(folder)
    assert says in problem


def test_a_delivery_that_is_missing_in_between_is_found(folder: Path) -> None:
    made = delivery(folder, 4, 9, people(1, 3))
    assert manifest.verify(folder) == [f"{made.folder}: delivery 3 is missing before it"]


def test_a_delta_that_leaves_a_gap_is_found(folder: Path) -> None:
    made = delivery(folder, 3, 7, people(1, 3))
    assert manifest.verify(folder) == [f"{made.folder}: doesn't begin where directory-000002-delta ended"]


def test_deliveries_that_were_taken_away_leave_the_place_in_the_folder(folder: Path) -> None:
    for each in manifest.deliveries(folder):
        for path in each.iterdir():
            path.unlink()
        each.rmdir()
    newest = manifest.newest(folder)
    assert newest is not None
    assert (newest.number, newest.offsets[0].end) == (2, 5)
    assert manifest.verify(folder) == []


def test_a_delivery_in_place_counts_although_the_copy_beside_it_is_older(folder: Path) -> None:
    """A crash between the rename and the copy: the system may have taken the delivery already."""
    older = manifest.read(folder / "directory-000001-complete" / manifest.NAME)
    manifest.write(folder / manifest.NAME, older)
    newest = manifest.newest(folder)
    assert newest is not None
    assert newest.number == 2


@pytest.mark.parametrize("text", [b"", b"{", b"{}", b"[]", b'{"version": 1}'])
def test_a_manifest_nobody_can_read_is_wrong_input_and_no_first_export(folder: Path, text: bytes) -> None:
    """Else a damaged file would make the next delta a complete one, or worse, a delta from nowhere."""
    (folder / manifest.NAME).write_bytes(text)
    with pytest.raises(InvalidInput):
        manifest.newest(folder)


def test_a_manifest_of_another_version_is_refused(folder: Path) -> None:
    path = folder / manifest.NAME
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(manifest.read(path), version=2)))
    with pytest.raises(InvalidInput, match="version 2"):
        manifest.read(path)


def test_a_folder_without_a_manifest_is_wrong_input(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        manifest.verify(tmp_path)


def test_json_lines_hold_the_whole_view_in_the_contracts_order(folder: Path) -> None:
    lines = (folder / "directory-000001-complete" / "provider.jsonl").read_text().splitlines()
    first = json.loads(lines[0])
    assert first == people(1)[0].content
    assert list(first)[:4] == ["revision", "status", "reason", "provider_id"]


def test_csv_holds_lists_as_json_and_survives_separators(tmp_path: Path) -> None:
    import csv

    odd = views.provider(
        "directory", views.entity(1), last_name='O"Fern, hollow\n', listings=[views.listing("x")]
    )
    files.write(tmp_path, "directory", "provider", "csv", [odd])
    with (tmp_path / "provider.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["last_name"], json.loads(row["listings"])) == (
        odd.content["last_name"],
        odd.content["listings"],
    )
    assert (row["npi"], row["middle_name"]) == (odd.content["npi"], "")


@given(st.permutations([(n, revision) for n in range(3) for revision in range(1, 4)]))
def test_of_an_entity_the_newest_revision_is_written_whatever_came_last(order: list[tuple[int, int]]) -> None:
    """Invariant 3: what is read twice, or late, changes nothing."""
    spool = Spool(":memory:")
    for number, revision in order:
        spool.keep(replace(people(3)[number], revision=revision))
    assert [(view.entity_id, view.revision) for view in spool.of("provider")] == [
        (views.entity(10 + n), 3) for n in range(3)
    ]
    spool.close()


def progress(last: int = 1, kind: Kind = "delta", end: int = 7, at: datetime | None = None) -> Progress:
    started = (at or datetime.now(UTC)).isoformat()
    return Progress(last, kind, started, [Span("t", 0, "first", 5, end)], {"read": 2, "views": 2})


def begun(spool: Spool, last: int = 1, kind: Kind = "delta", topic_id: str = "first") -> tuple[Taken, Begin]:
    begin = Begin(kind, "why", {Partition("t", 0, topic_id): 5})
    return started(spool, last, begin, datetime.now(UTC))


def saved(path: Path, content: Progress) -> None:
    """As an export leaves it that is killed after it has kept one view more than it has saved."""
    spool = Spool(path)
    spool.keep(people(2)[0])
    spool.save(content)
    spool.keep(people(2)[1])
    spool.close()


def test_a_killed_export_is_continued_where_it_had_saved(tmp_path: Path) -> None:
    saved(tmp_path / "spool", progress())
    spool = Spool(tmp_path / "spool")
    taken, begin = begun(spool)
    assert (taken.ends, taken.counts) == ({("t", 0): 7}, {"read": 2, "views": 2})
    assert [view.entity_id for view in spool.of("provider")] == [views.entity(10)]
    assert begin.why == "why; an export that was stopped had read 2"
    spool.close()


@pytest.mark.parametrize(
    ("content", "asked"),
    [
        (progress(), {"last": 2}),
        (progress(), {"kind": "complete"}),
        (progress(), {"topic_id": "made again"}),
        (progress(at=datetime.now(UTC) - timedelta(days=26)), {}),
    ],
)
def test_a_killed_export_of_something_else_is_started_anew(
    tmp_path: Path, content: Progress, asked: dict[str, Any]
) -> None:
    saved(tmp_path / "spool", content)
    spool = Spool(tmp_path / "spool")
    taken, begin = begun(spool, **asked)
    assert (set(taken.ends.values()), dict(taken.counts), begin.why) == ({5}, {}, "why")
    assert list(spool.of("provider")) == []
    assert spool.progress() is None
    spool.close()
