"""What is published of the contracts: a page a topic, ODCS, AsyncAPI and Backstage's catalogue, as files.

    python -m streams.operate.contract_pages      # writes them all; a contract test fails when one is out of date

Never says what schemas/contract, the Avro schemas and the topic catalogue don't: edit these. A tool of development:
YAML is written with a package that production doesn't have.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from streams.operate.contract_standards import asyncapi, backstage, odcs
from streams.operate.contracts import Said, Told, told

PROJECT = Path(__file__).parents[2]
FOLDER = "docs/topics"
WRITTEN = "Written by `python -m streams.operate.contract_pages`; edit its sources, not this file."


def files() -> Mapping[str, str]:
    """Path in the project -> text, of everything that is generated."""
    topics = told()
    found = {f"{FOLDER}/README.md": _index(topics)}
    for one in topics:
        found[f"{FOLDER}/{one.topic}.md"] = page(one)
        found[f"{FOLDER}/{one.topic}.odcs.yaml"] = _yaml([odcs(one)])
    found[f"{FOLDER}/asyncapi.yaml"] = _yaml([asyncapi(topics)])
    found["catalog-info.yaml"] = _yaml(backstage(topics))
    return found


def drifted() -> list[str]:
    """Files that are not what their sources say, those that should not be there included."""
    wanted = files()
    there = {path.relative_to(PROJECT).as_posix() for path in (PROJECT / FOLDER).glob("*")}
    wrong = {name for name, text in wanted.items() if _read(name) != text}
    return sorted(wrong | (there - wanted.keys()))


def write() -> None:
    """Make the files what their sources say."""
    wanted = files()
    (PROJECT / FOLDER).mkdir(exist_ok=True)
    for path in (PROJECT / FOLDER).glob("*"):
        if path.relative_to(PROJECT).as_posix() not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (PROJECT / name).write_text(text, "utf-8")


def page(one: Told) -> str:
    """A topic's page."""
    return "\n".join([*_head(one), *_fields(one), *_headers(one), *_promises(one), *_access(one), ""])


def _head(one: Told) -> Iterator[str]:
    said = one.contract
    yield f"# {one.topic}\n\n{said.title}. {said.purpose}\n\n{said.limits}\n"
    yield f"{WRITTEN}\nA client: [consuming](../consuming.md). Records: `concord sample {one.topic}`.\n"
    yield "| | |\n| --- | --- |"
    yield f"| Owner | {said.owner} |"
    yield f"| Classification | {said.classification} |"
    yield f"| Key | `{said.key}`, as plain text |"
    yield f"| Value | Avro, subject `{one.subject}`, newest version {one.schema.number}: `schemas/{one.schema.file}` |"
    yield f"| Contract | version {said.version} |"


def _fields(one: Told) -> Iterator[str]:
    yield f"\n## Fields\n\n{one.schema.tree.doc}\n"
    yield "| Field | Type | Default | Class | Meaning |\n| --- | --- | --- | --- | --- |"
    yield from (_row(field) for field in one.fields)


def _row(field: Said) -> str:
    default = "" if field.default == "" else f"`{json.dumps(field.default)}`"
    meaning = field.meaning.replace("|", "\\|")
    return f"| `{field.path}` | {field.type} | {default} | {field.classification} | {meaning} |"


def _headers(one: Told) -> Iterator[str]:
    if not one.contract.headers:
        yield "\n## Headers\n\nNone."
        return
    yield "\n## Headers\n\n| Header | What it says |\n| --- | --- |"
    yield from (f"| `{name}` | {text} |" for name, text in one.contract.headers.items())


def _promises(one: Told) -> Iterator[str]:
    said = one.contract
    fresh, kept = said.freshness, said.retention
    yield "\n## What you may rely on\n"
    yield from (f"- {text}" for text in said.promises)
    yield f"- Freshness, from a system's commit to a readable record: p50 {fresh.p50_ms} ms, p99 {fresh.p99_ms} ms."
    yield "  Not while an initial snapshot, a change of the rules or a backlog is worked off."
    if one.compacted:
        yield f"- Every record stays readable for {kept.history_hours} h at least, then compaction keeps the newest of"
        yield f"  each key; a tombstone stays for {kept.tombstone_days} days. Away for longer: read from the beginning."
    elif kept.history_hours == "unlimited":
        yield "- Every record stays readable for ever."
    else:
        yield f"- Every record stays readable for {kept.history_hours // 24} days, then it is gone."
    yield f"- Compatibility of the schema: {said.compatibility}."
    yield "\n## How it changes\n"
    yield from (f"- {text}" for text in said.change_policy)


def _access(one: Told) -> Iterator[str]:
    yield "\n## Who may read it\n"
    yield from (f"- `{name}`, in consumer groups whose name begins so" for name in one.contract.readers)
    yield f"\nWho else is to read it is a name among `readers` of `schemas/contract/{one.topic}.toml`, which"
    yield f"{one.contract.owner} agrees to; `concord acls apply` grants it."


def _index(topics: Sequence[Told]) -> str:
    lines = [f"# Topics that others read\n\n{WRITTEN} How to read one: [consuming](../consuming.md).\n"]
    lines += ["| Topic | What | Owner | Class | ODCS |", "| --- | --- | --- | --- | --- |"]
    for one in topics:
        said = one.contract
        odcs_file = f"[odcs]({one.topic}.odcs.yaml)"
        lines.append(
            f"| [{one.topic}]({one.topic}.md) | {said.title} | {said.owner} | {said.classification} | {odcs_file} |"
        )
    return "\n".join([*lines, "\nAll of them as [AsyncAPI](asyncapi.yaml).", ""])


def _yaml(documents: Sequence[Any]) -> str:
    text: str = yaml.dump_all(documents, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=110)
    return f"# {WRITTEN}\n{text}"


class _Plain(yaml.SafeDumper):
    """Without anchors: what is said twice stands there twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _read(name: str) -> str | None:
    path = PROJECT / name
    return path.read_text("utf-8") if path.exists() else None


if __name__ == "__main__":
    write()
