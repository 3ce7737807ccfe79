"""Loading: a bad file leaves everything as it is, a good one says what it changes, a suspect one asks first."""

from __future__ import annotations

import csv
import os
import stat
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from connectors.reference.ledger import Ledger
from connectors.reference.load import Declined, Loaded, Options, load
from connectors.reference.refusal import Unusable
from connectors.reference.sources import SOURCES, named
from connectors.reference.store import Folder
from connectors.reference.witness import Witness
from streams.errors import EnvironmentFault, InvalidInput, Unavailable
from tests.published import (
    CODE,
    DARK,
    DEBARRED,
    EXCLUDED,
    GROUP,
    LEIE,
    NOW,
    NPPES,
    NUCC,
    PERSON,
    SAM,
    registration,
    take,
    text,
    write,
    zipped,
)

GOOD = {
    "nppes": text(NPPES, PERSON, GROUP, DARK),
    "leie": text(LEIE, EXCLUDED),
    "sam": text(SAM, DEBARRED),
    "nucc": text(NUCC, CODE),
    "dea": registration("AQ1234563") + "\n" + registration("BQ1234564") + "\n",
}
HEADERS = {name: content.splitlines(keepends=True)[0] for name, content in GOOD.items() if name != "dea"}
BAD: dict[str, Callable[[str], str | bytes]] = {
    "empty": lambda good: "",
    "html": lambda good: "<!DOCTYPE html>\n<html><body>Access denied</body></html>\n",
    "html in one line": lambda good: "<html>no",
    "an error as JSON": lambda good: '{"Errors":[{"description":"no"}]}\n',
    "cut off within a row": lambda good: good[: len(good) - 40],
    "cut off within a zip": lambda good: b"PK\x03\x04" + b"\x00" * 40,
    "a row of another width": lambda good: good + '"1","2"\n',
    "binary": lambda good: bytes(range(256)) * 40,
}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "reference")


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str | bytes], Path]:
    return lambda content: write(tmp_path / "file.csv", content)


File = Callable[[str | bytes], Path]


def people(count: int, **different: str) -> str:
    return text(NPPES, *({**PERSON, "NPI": str(2_000_000_000 + n), **different} for n in range(count)))


def attempt(folder: Folder, source: str) -> str | None:
    with Ledger(folder) as ledger:
        found = ledger.attempt(source)
    return found.code if found else None


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("why", BAD)
def test_a_bad_file_is_refused_and_the_last_good_version_stays(
    folder: Folder, file: File, source: str, why: str
) -> None:
    good = take(folder, source, file(GOOD[source]))
    before = folder.file(source).read_bytes()
    with pytest.raises(Unusable) as refused:
        take(folder, source, file(BAD[why](GOOD[source])), accept=True)
    assert refused.value.exit_code == 2
    assert refused.value.code in ("reference.unavailable", "reference.column_missing")
    assert refused.value.message.startswith("file.csv")
    assert folder.file(source).read_bytes() == before
    assert attempt(folder, source) == refused.value.code
    assert sorted(path.name for path in folder.path.iterdir() if "next" in path.name) == []
    again = take(folder, source, file(GOOD[source]))
    assert (again.already, again.version, attempt(folder, source)) == (True, good.version, None)


@pytest.mark.parametrize("source", HEADERS)
def test_a_header_without_rows_is_refused(folder: Folder, file: File, source: str) -> None:
    with pytest.raises(Unusable, match="a header and no rows"):
        take(folder, source, file(HEADERS[source]))
    assert not folder.file(source).exists()


@pytest.mark.parametrize("source", HEADERS)
def test_reordered_and_new_columns_are_taken_and_told(folder: Folder, file: File, source: str) -> None:
    header, row = list(csv.reader(GOOD[source].splitlines()))[:2]
    columns = dict(zip(header, row, strict=True))
    turned = take(folder, source, file(text(["A new column", *reversed(header)], columns)))
    assert (turned.kept, turned.warnings[0]) == (1, "unknown columns, left out: A new column")
    straight = take(folder, source, file(text(header, columns)))
    assert straight.delta is not None
    assert (straight.delta.added, straight.delta.changed, straight.delta.removed) == (0, 0, 0)


def test_a_missing_column_is_refused_with_the_difference(folder: Folder, file: File) -> None:
    other = GOOD["nppes"].replace("NPI Reactivation Date", "NPI Reactivated On")
    with pytest.raises(Unusable) as refused:
        take(folder, "nppes", file(other))
    assert refused.value.code == "reference.column_missing"
    assert "'NPI Reactivation Date'" in refused.value.message
    assert "'NPI Reactivated On'" in refused.value.message


def test_a_load_says_what_it_changed_field_by_field(folder: Folder, file: File) -> None:
    take(folder, "nppes", file(people(40)))
    later = text(
        NPPES,
        *({**PERSON, "NPI": str(2_000_000_000 + n)} for n in range(1, 38)),
        {**PERSON, "NPI": "2000000038", "Provider Last Name (Legal Name)": "FENWICK"},
        {"NPI": "2000000039", "NPI Deactivation Date": "11/10/2026"},
        GROUP,
    )
    delta = take(folder, "nppes", file(later)).delta
    assert delta is not None
    assert (delta.before, delta.after, delta.added, delta.removed, delta.changed) == (40, 40, 1, 1, 2)
    assert (delta.fields["last_name"], delta.fields["status"], delta.deactivated) == (2, 1, 1)


def test_rows_that_come_twice_count_once_and_the_last_one_stands(folder: Folder, file: File) -> None:
    loaded = take(folder, "nppes", file(text(NPPES, {**PERSON, "Provider First Name": "FIRST"}, PERSON)))
    assert (loaded.read, loaded.kept, loaded.counts["duplicates"], loaded.version.entries) == (2, 1, 1, 1)
    with Witness(named("nppes"), folder) as witness:
        [(_, said)] = witness.rows("2234567891")
    assert said["first_name"] == "ODALYS"


@pytest.mark.parametrize(
    ("later", "code"),
    [
        (people(94), "reference.would_drop"),
        (
            text(
                NPPES,
                *({**PERSON, "NPI": str(2_000_000_000 + n)} for n in range(94)),
                *({**DARK, "NPI": str(2_000_000_000 + n)} for n in range(94, 100)),
            ),
            "reference.would_deactivate",
        ),
    ],
)
def test_a_load_that_would_drop_or_deactivate_much_stops_unless_it_is_accepted(
    folder: Folder, file: File, later: str, code: str
) -> None:
    take(folder, "nppes", file(people(100)))
    with pytest.raises(Declined) as refused:
        take(folder, "nppes", file(later))
    assert (refused.value.code, refused.value.exit_code, attempt(folder, "nppes")) == (code, 2, code)
    assert "--yes" in refused.value.next_step
    assert folder.versions("nppes")[0].entries == 100
    assert take(folder, "nppes", file(later), most=0.1).version.entries in (94, 100)
    assert attempt(folder, "nppes") is None


def test_the_guard_asks_with_the_figures_and_takes_yes_for_an_answer(folder: Folder, file: File) -> None:
    take(folder, "nppes", file(people(100)))
    asked: list[str] = []

    def ask(question: object) -> bool:
        asked.append(str(getattr(question, "text", "")))
        return True

    load(folder, named("nppes"), file(people(50)), Options(), ask, NOW)
    assert asked == ["50 of 100 rows would go (50.0%, the limit is 5%); 50 would stay"]


def test_an_older_file_is_not_put_over_a_newer_one_unawares(folder: Folder, file: File) -> None:
    take(folder, "nppes", file(people(100)), as_of="2026-11-15")
    with pytest.raises(Declined, match="back in time"):
        take(folder, "nppes", file(people(101)), as_of="2026-11-08")
    assert attempt(folder, "nppes") is None  # the file is fine
    assert (
        take(folder, "nppes", file(people(101)), as_of="2026-11-08", accept=True).version.as_of
        == "2026-11-08"
    )


def test_a_date_to_come_is_refused(folder: Folder, file: File) -> None:
    with pytest.raises(InvalidInput, match="to come"):
        take(folder, "nppes", file(people(1)), as_of="2027-01-01")


def test_a_file_that_tells_no_date_is_never_taken_for_fresher_than_its_data(
    folder: Folder, file: File
) -> None:
    loaded = take(folder, "leie", file(GOOD["leie"]))
    assert loaded.version.as_of == "2026-10-20"
    assert "--as-of" in loaded.warnings[0]


def test_the_same_file_is_another_version_when_its_date_is_corrected(folder: Folder, file: File) -> None:
    take(folder, "leie", file(GOOD["leie"]))
    corrected = take(folder, "leie", file(GOOD["leie"]), as_of="2026-11-08")
    assert (corrected.already, corrected.version.as_of) == (False, "2026-11-08")
    assert take(folder, "leie", file(GOOD["leie"])).already


def test_the_load_number_rises_with_every_load_even_within_a_second_and_in_a_new_folder(
    folder: Folder, file: File, tmp_path: Path
) -> None:
    first = take(folder, "nppes", file(people(10)))
    second = take(folder, "nppes", file(people(11)))
    anew = take(Folder(tmp_path / "new"), "nppes", file(people(12)), now=NOW + timedelta(hours=1))
    assert first.version.load < second.version.load < anew.version.load


@pytest.mark.parametrize(
    ("source", "mode"), [("nppes", "increment"), ("nppes", "deactivated"), ("leie", "reinstated")]
)
def test_what_goes_over_a_full_file_needs_one(folder: Folder, tmp_path: Path, source: str, mode: str) -> None:
    content = (
        '"NPI","NPI Deactivation Date"\n"2234567891","1/1/2026"\n' if mode == "deactivated" else GOOD[source]
    )
    with pytest.raises(InvalidInput) as refused:
        take(folder, source, write(tmp_path / "x.csv", content), mode=mode)
    assert refused.value.code == "reference.no_base"


def test_a_mode_the_source_has_not_is_refused(folder: Folder, file: File) -> None:
    with pytest.raises(InvalidInput, match="sam has no increment files"):
        take(folder, "sam", file(GOOD["sam"]), mode="increment")


def test_one_load_of_a_source_at_a_time(folder: Folder, file: File) -> None:
    with folder.locked("nppes"), pytest.raises(Unavailable, match="another process"):
        take(folder, "nppes", file(people(1)))
    assert take(folder, "nppes", file(people(1))).kept == 1


def test_a_draft_left_by_a_killed_load_is_no_obstacle(folder: Folder, file: File) -> None:
    folder.make()
    write(folder.path / "nppes.sqlite.next", b"half of a database")
    assert take(folder, "nppes", file(people(3))).version.entries == 3


def test_a_reader_sees_the_old_version_or_the_new_one(folder: Folder, file: File) -> None:
    take(folder, "nppes", file(people(10)))
    with Witness(named("nppes"), folder) as old:
        take(folder, "nppes", file(people(10, **{"Provider First Name": "OTHER"})))
        assert [said["first_name"] for _, said in old.rows("2000000001")] == ["ODALYS"]
    with Witness(named("nppes"), folder) as new:
        assert [said["first_name"] for _, said in new.rows("2000000001")] == ["OTHER"]


def test_a_failure_while_loading_leaves_neither_draft_nor_attempt(folder: Folder, file: File) -> None:
    take(folder, "nppes", file(people(10)))

    def stop(done: int, size: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(folder, named("nppes"), file(people(11)), Options(), lambda q: False, NOW, stop)
    assert (folder.versions("nppes")[0].entries, attempt(folder, "nppes")) == (10, None)
    assert not list(folder.path.glob("*.next"))


@pytest.mark.parametrize("name", ["x.csv", "x.zip"])
def test_progress_is_told_in_bytes_to_the_end_of_the_file_or_of_the_member(
    folder: Folder, tmp_path: Path, name: str
) -> None:
    content, told = people(5000), list[tuple[int, int]]()
    path = write(tmp_path / name, content) if name == "x.csv" else zipped(tmp_path / name, x__csv=content)
    load(folder, named("nppes"), path, Options(), lambda q: True, NOW, lambda *bytes_: told.append(bytes_))
    assert told == sorted(told)
    assert told[-1] == (len(content.encode()), len(content.encode()))
    assert len(told) > 2


def test_nobody_else_may_read_what_is_kept(folder: Folder, file: File) -> None:
    take(folder, "dea", file(GOOD["dea"]))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.path.iterdir()}
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert {modes[name] for name in ("dea.sqlite", "holders.sqlite", "screening.key")} == {0o600}


def test_a_damaged_key_is_told_and_never_replaced_by_itself(folder: Folder, file: File) -> None:
    folder.make()
    write(folder.path / "screening.key", b"short")
    with pytest.raises(EnvironmentFault) as fault:
        take(folder, "leie", file(GOOD["leie"]))
    assert fault.value.code == "reference.key"


def test_a_path_that_cannot_be_read_is_wrong_input_and_no_failed_attempt(
    folder: Folder, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput) as refused:
        take(folder, "nppes", tmp_path / "nothing.csv")
    assert (refused.value.code, attempt(folder, "nppes")) == ("reference.unreadable", None)


def test_every_figure_adds_up(folder: Folder, file: File) -> None:
    rows = [PERSON, PERSON, GROUP, {**PERSON, "NPI": ""}, DARK]
    loaded: Loaded = take(folder, "nppes", file(text(NPPES, *rows)))
    assert loaded.read == loaded.kept + loaded.counts["duplicates"] + sum(loaded.left_out.values()) == 5
    assert os.path.getsize(folder.file("nppes")) > 0
