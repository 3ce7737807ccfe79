"""The gate: whether each schema may be published, judged against every earlier version of it.

    versions --verdict--> problems      none: `concord schema publish` may register what is new

FULL_TRANSITIVE by Avro's rules (schemas/compatibility.py), the project's own where those are blind
(schemas/evolution.py), and what one version must be by itself. One problem a place, whoever it breaks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from schemas import evolution
from schemas.avro_type import MISSING, fields
from schemas.compatibility import Break, full
from schemas.defaults import misfits
from schemas.evolution import CLASSES, WHY
from schemas.problem import Problem
from schemas.versions import Version, histories, read


def problems(root: Path, clearance: Mapping[str, str] | None = None) -> tuple[list[Version], list[Problem]]:
    """Every version and all that is wrong. `clearance`: schema -> the highest class its topics may carry."""
    versions, found = read(root)
    for stem, history in histories(versions).items():
        found += verdict(history)
        found += above(history[-1], (clearance or {}).get(stem, CLASSES[-1]))
    return versions, found


def verdict(history: Sequence[Version]) -> list[Problem]:
    """What is wrong with the newest of these versions: by itself, and against each earlier one."""
    newest = history[-1]
    told: dict[tuple[str, str, str], tuple[Break, list[str]]] = {}
    for said, by in _against(history):
        told.setdefault((said.code, said.path, said.what), (said, []))[1].append(by)
    return [_problem(newest, said, by) for said, by in told.values()] + list(_lost(history))


def above(newest: Version, cleared: str) -> Iterator[Problem]:
    """Invariant 11: no restricted field in a topic whose contract forbids it."""
    for path, field in fields(newest.tree):
        if field.cls in CLASSES and CLASSES.index(field.cls) > CLASSES.index(cleared):
            what = f"a field of class {field.cls} in a topic cleared for {cleared}"
            why = "who may read the topic may not read this field (Invariant 11)"
            fix = "leave it out of this view; a topic that is cleared for it may carry it"
            yield Problem("schema.not_cleared", _place(newest, path), what, why, fix)


def _against(history: Sequence[Version]) -> Iterator[tuple[Break, str]]:
    newest = history[-1].tree
    yield from ((said, "") for said in (*evolution.unsound(newest), *misfits(newest)))
    for earlier in history[:-1]:
        by = f"v{earlier.number}"
        for whose, said in full(earlier.tree, newest):
            yield said, f"readers of {by}" if whose == "later" else f"records of {by}"
        yield from ((said, f"what {by} says") for said in evolution.changed(earlier.tree, newest))
    if len(history) > 1:
        renames = evolution.renamed(history[-2].tree, newest)
        yield from ((said, f"readers of v{history[-2].number}") for said in renames)


def _problem(newest: Version, said: Break, by: Sequence[str]) -> Problem:
    breaks = ", ".join(dict.fromkeys(filter(None, by)))
    what = f"{said.what}; breaks {breaks}" if breaks else said.what
    return Problem(f"schema.{said.code}", _place(newest, said.path), what, WHY[said.code], said.fix)


def _lost(history: Sequence[Version]) -> Iterator[Problem]:
    """Removed, or renamed with an alias: allowed, and worth saying, since old readers see the default from now on."""
    if len(history) < 2:
        return
    now = {path for path, _ in fields(history[-1].tree)}
    for path, field in fields(history[-2].tree):
        if path not in now and field.default is not MISSING:
            what = f"{path} of v{history[-2].number} is gone: its readers see {field.default!r} from now on"
            why = "they read on, and without the value"
            fix = "announce it; where the field is renamed, fill both names until every reader has moved"
            yield Problem("schema.value_lost", _place(history[-1], path), what, why, fix, warning=True)


def _place(version: Version, path: str) -> str:
    return f"schemas/{version.file}{f':{path}' if path else ''}"
