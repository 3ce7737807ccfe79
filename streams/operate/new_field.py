"""The scaffold of a canonical field: every file it needs a line in, edited; the rest, which takes a thought, named.

    Wanted --plan--> edits, or every problem at once --write--> files, and what is generated of them --> `schema check`

Copies what another field's authority row says, and puts the field at the end of its record and of its views: fields
are appended, never moved. A tool of development: it edits the project it stands in.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from schemas import topic_contract, versions
from schemas.authority import load_rules
from schemas.catalog import Table, load_catalog, load_mapping
from schemas.catalog_file import FieldClass, FieldType
from schemas.evolution import CLASSES
from schemas.problem import Problem, nearest, refuse
from schemas.versions import Version
from streams.systems import SYSTEMS

PROJECT = Path(__file__).parents[2]
GENERATED = ("schemas.canonical", "streams.operate.matrix", "streams.operate.contract_pages")
"""What is written anew of the edited files, in this order."""
AVRO: Mapping[str, Any] = {"integer": "long", "boolean": "boolean"}
"""Canonical type -> Avro's; every other one is text, a list of texts a list."""
SAMPLE: Mapping[str, str] = {
    "integer": "1", "boolean": "true", "date": "2026-06-01", "text_list": '["example"]', "decimal": '"1.50"',
}  # fmt: skip
"""Canonical type -> a value in a scenario; every other one is a text."""
GIVEN: Mapping[str, str] = {"provider": "ann", "location": "c1", "organization": "g1"}
"""Kind -> who is there in tests/behavior/given."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The field: `record.field`, what it is, `system.table.column` that says it, and whose authority row it shares."""

    name: str
    type: str
    cls: str
    column: str
    like: str
    meaning: str
    views: Sequence[str] = ()

    @property
    def record(self) -> str:
        """The canonical record."""
        return self.name.partition(".")[0]

    @property
    def field(self) -> str:
        """Its name in the record."""
        return self.name.partition(".")[2]

    @property
    def place(self) -> tuple[str, str, str]:
        """(system, table, column)."""
        system, _, rest = self.column.partition(".")
        table, _, column = rest.rpartition(".")
        return system, table, column


@dataclass(frozen=True, slots=True)
class Edit:
    """One file as it will be, and what that is for."""

    file: str
    what: str
    text: str


@dataclass(frozen=True, slots=True)
class Planned:
    """What is written, what is generated of it, and what is left to people."""

    files: Mapping[str, str]
    generated: tuple[str, ...]
    by_hand: Mapping[str, str]
    applied: bool


def scaffold(wanted: Wanted, *, apply: bool) -> Planned:
    """The plan, or InvalidInput with every problem; with `apply`, done."""
    found = list(_problems(wanted))
    if found:
        refuse(found)
    edits = list(_edits(wanted))
    if apply:
        _write(edits)
    files = {edit.file: edit.what for edit in edits}
    return Planned(files, GENERATED, dict(_by_hand(wanted)), apply)


def _write(edits: Sequence[Edit]) -> None:
    for edit in edits:
        path = PROJECT / edit.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(edit.text, "utf-8")
    for module in GENERATED:
        subprocess.run([sys.executable, "-m", module], cwd=PROJECT, check=True)


# ---- what is wrong with what is asked for ----


def _problems(wanted: Wanted) -> Iterator[Problem]:
    catalog, matrix = load_catalog(), load_rules()
    if wanted.record not in catalog.records:
        yield _wrong(
            "record", f"no record is called {wanted.record!r}", nearest(wanted.record, catalog.records)
        )
    elif not wanted.field.isidentifier() or wanted.field != wanted.field.lower():
        yield _wrong("name", f"{wanted.name!r} is no record.field", "write it as provider.pronouns")
    elif catalog.field(wanted.record, wanted.field):
        yield _wrong("exists", f"{wanted.name} is there already", "take another name, or map a column to it")
    for value, known, code in (
        (wanted.type, get_args(FieldType), "type"),
        (wanted.cls, get_args(FieldClass), "class"),
    ):
        if value not in known:
            yield _wrong(code, f"no {code} is called {value!r}", nearest(value, known))
    if not wanted.meaning.strip():
        yield _wrong("meaning", "nobody can use a field without a meaning", "say in --doc what a value means")
    likes = matrix.records.get(wanted.record, {})
    if likes and wanted.like not in likes:
        said = f"{wanted.record} has no field {wanted.like!r} whose authority row it could share"
        yield _wrong("like", said, nearest(wanted.like, likes))
    yield from _column_problems(wanted)
    yield from _view_problems(wanted)


def _column_problems(wanted: Wanted) -> Iterator[Problem]:
    system, name, column = wanted.place
    if system not in SYSTEMS:
        yield _wrong("system", f"no system is called {system!r}", nearest(system, SYSTEMS))
        return
    tables = load_mapping(system).tables
    if name not in tables:
        yield _wrong("table", f"{system} has no mapped table {name!r}", nearest(name, tables))
    elif column in tables[name].columns:
        yield _wrong(
            "column", f"{wanted.column} is {tables[name].columns[column]} already", "name another column"
        )
    elif column in tables[name].unmapped:
        said = f"{wanted.column} is left out on purpose: `unmapped` of [table.{name}]"
        yield _wrong(
            "unmapped", said, f"take it out there, in schemas/mapping/{system}.toml, if that is over"
        )


def _view_problems(wanted: Wanted) -> Iterator[Problem]:
    known, cleared = _newest(), topic_contract.clearance(topic_contract.load())
    for view in wanted.views:
        if view not in cleared:
            yield _wrong("view", f"no view is called {view!r}", nearest(view, cleared))
        elif wanted.cls in CLASSES and CLASSES.index(wanted.cls) > CLASSES.index(cleared[view]):
            said = f"class {wanted.cls} may not enter {view}, which is cleared for {cleared[view]} (Invariant 11)"
            open_ones = [v for v in cleared if CLASSES.index(cleared[v]) >= CLASSES.index(wanted.cls)]
            yield _wrong("not_cleared", said, f"views it may enter: {', '.join(open_ones)}")
        elif wanted.field in {field.name for field in known[view].tree.fields}:
            yield _wrong("in_view", f"{view} has a field {wanted.field} already", "leave the view out")


def _wrong(code: str, what: str, fix: str) -> Problem:
    return Problem(f"new_field.{code}", "schema new-field", what, "", fix)


# ---- the files ----


def _edits(wanted: Wanted) -> Iterator[Edit]:
    system, name, column = wanted.place
    table = load_mapping(system).tables[name]
    line = f'{wanted.field} = {{ type = "{wanted.type}", class = "{wanted.cls}" }}'
    yield _append(
        "schemas/canonical.toml", f"[{wanted.record}.fields]", line, "the field, its type and class"
    )
    said = wanted.field if table.record == wanted.record else wanted.name
    mapping = f"schemas/mapping/{system}.toml"
    yield _append(mapping, f"[table.{name}.columns]", f'{column} = "{said}"', "which column says it")
    yield _authority(wanted)
    views = [_version(wanted, _newest()[view]) for view in wanted.views]
    yield from views
    scenario = f"tests/behavior/{wanted.record}_{wanted.field}.toml"
    yield Edit(scenario, "a scenario: correct its value and what follows", _scenario(wanted, table))
    yield Edit(f"docs/changes/{wanted.name}.md", "what consumers are told", _fragment(wanted, views))


def _append(file: str, section: str, line: str, what: str) -> Edit:
    """The line at the end of a TOML section."""
    lines = (PROJECT / file).read_text("utf-8").splitlines()
    start = next(n for n, text in enumerate(lines) if text.partition("#")[0].strip() == section) + 1
    end = next((n for n in range(start, len(lines)) if lines[n].startswith("[")), len(lines))
    while not lines[end - 1].strip() or lines[end - 1].startswith("#"):
        end -= 1
    return Edit(file, what, "\n".join([*lines[:end], line, *lines[end:]]) + "\n")


def _authority(wanted: Wanted) -> Edit:
    """The name beside that of the field it is like, in the list of the same row."""
    file = "schemas/authority.toml"
    lines = (PROJECT / file).read_text("utf-8").splitlines()
    start = load_rules().records[wanted.record][wanted.like].line - 1
    quoted = f'"{wanted.like}"'
    at = next(n for n in range(start, len(lines)) if quoted in lines[n])
    lines[at] = lines[at].replace(quoted, f'{quoted}, "{wanted.field}"', 1)
    return Edit(file, f"owned, judged and written as {wanted.like}", "\n".join(lines) + "\n")


def _newest() -> Mapping[str, Version]:
    found, _ = versions.read(PROJECT / "schemas")
    return {stem: history[-1] for stem, history in versions.histories(found).items()}


def _version(wanted: Wanted, newest: Version) -> Edit:
    """The view's next version; where the newest is not sealed yet, that one."""
    sealed = newest.file in versions.digests(PROJECT / "schemas")
    number = newest.number + 1 if sealed else newest.number
    schema = {**newest.schema, "fields": [*newest.schema["fields"], _avro(wanted)]}
    text = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
    return Edit(f"schemas/view/{newest.stem}.v{number}.avsc", "the view with the field, optional", text)


def _avro(wanted: Wanted) -> dict[str, Any]:
    if wanted.type == "text_list":
        said: dict[str, Any] = {"type": {"type": "array", "items": "string"}, "default": []}
    else:
        said = {"type": ["null", AVRO.get(wanted.type, "string")], "default": None}
    tag = {} if wanted.cls == "public" else {"class": wanted.cls}
    return {"name": wanted.field, **said, "doc": wanted.meaning, **tag}


def _scenario(wanted: Wanted, table: Table) -> str:
    system, name, column = wanted.place
    value = SAMPLE.get(wanted.type, '"example"')
    who = GIVEN.get(table.kind, "ann")
    row = ", ".join(dict.fromkeys(f'{key} = "{who}"' for key in table.key))
    by = "" if system == "credentialing" else f'system = "{system}"\n'
    lines = [
        f'title = "{wanted.name} reaches who is sent it"',
        'use = ["given/clinics.toml", "given/ann.toml"]\n',
        "[[when]]",
        f'on = 2026-06-01\n{by}change = [{{ table = "{name}", row = {{ {row}, {column} = {value} }} }}]',
    ]
    lines += [f'\n[then.view."{_subject(view)}/{who}"]\n{wanted.field} = {value}' for view in wanted.views]
    return "\n".join(lines) + "\n"


def _subject(view: str) -> str:
    return view.replace(".", "/", 1)


def _fragment(wanted: Wanted, views: Sequence[Edit]) -> str:
    where = ", ".join(f"`{view.file}`" for view in views)
    said = f"Consumers see it from {where} on; no act of theirs is needed." if views else "In no view yet."
    return f"# {wanted.name}\n\n{wanted.meaning} Type {wanted.type}, class {wanted.cls}.\n\n{said}\n"


def _by_hand(wanted: Wanted) -> Iterator[tuple[str, str]]:
    """What takes a thought: file -> what to write there."""
    system, _, column = wanted.place
    yield f"connectors/{system}/capture.sql", f"{column} among the columns that may be captured"
    yield f"connectors/{system}/schema.sql", f"column {column}, in the reference database"
    if wanted.views:
        yield "streams/core/view.py", f"{wanted.field}, last in the view's record, and how it is filled"
        yield "streams/operate/provenance.py", f'"{wanted.field}": which canonical field it is made of'
    for name in sorted({view.partition(".")[0] for view in wanted.views} & set(SYSTEMS)):
        yield (
            f"connectors/{name}/request.py",
            "the column it is written to, where the system holds it; its grant",
        )
