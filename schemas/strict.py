"""Reads a TOML file into its shape, strictly: whatever the shape doesn't know is a problem with its line.

    text --tomllib, pydantic--> the shape, or problems that name file, line and the nearest valid name

Knows no file's meaning. An unknown key, a wrong type and a duplicate are all refused, never passed over.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, RootModel, ValidationError

from schemas.place import Path, Places
from schemas.problem import Problem, nearest

Shape = TypeVar("Shape", bound=BaseModel)

WHY: Mapping[str, str] = {
    "syntax": "the file is no TOML, so nothing of it can be used",
    "duplicate": "of two values nobody could say which one counts",
    "key_unknown": "an unknown key would be passed over, and what it was meant to say would not hold",
    "key_missing": "nothing stands in for it",
    "name_unknown": "a name that nothing knows would never take effect",
    "type_wrong": "a value of another type is not what was meant",
}
"""Problem -> why it is one."""

AT = re.compile(r"\(at line (\d+)")
EXPECTED = re.compile(r"'([^']*)'")
LOC = tuple[int | str, ...]


def parse(shape: type[Shape], text: str, file: str, area: str) -> tuple[Shape | None, Places, list[Problem]]:
    """The content in its shape, where its keys stand, and what is wrong; `area` is the first part of the codes."""
    places = Places(text)
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        return None, places, [*_duplicates(places, file, area)] or [_syntax(fault, text, file, area)]
    made, problems = shaped(shape, content, places, file, area)
    return made, places, problems


def shaped(
    shape: type[Shape], content: Mapping[str, Any], places: Places, file: str, area: str
) -> tuple[Shape | None, list[Problem]]:
    """Content that was read already (and filled in from elsewhere) in its shape, and what is wrong."""
    try:
        return shape.model_validate(content), []
    except ValidationError as fault:
        errors = fault.errors(include_url=False)
        return None, [_problem(shape, dict(error), places, file, area) for error in errors]


def name_of(path: Sequence[int | str]) -> str:
    """A path as people write it: record.license.row[1].owner."""
    return "".join(f"[{p + 1}]" if isinstance(p, int) else f".{p}" for p in path).removeprefix(".")


def _duplicates(places: Places, file: str, area: str) -> Iterator[Problem]:
    for path, first, second in places.twice:
        what = f"{name_of(path)} is said twice: on line {first} and on line {second}"
        yield Problem(
            f"{area}.duplicate", f"{file}:{second}", what, WHY["duplicate"], "remove or rename one of the two"
        )


def _syntax(fault: tomllib.TOMLDecodeError, text: str, file: str, area: str) -> Problem:
    at = AT.search(str(fault))
    line = int(at[1]) if at else max(1, len(text.splitlines()))
    return Problem(f"{area}.syntax", f"{file}:{line}", str(fault), WHY["syntax"], "correct the TOML there")


def _problem(shape: type[BaseModel], error: dict[str, Any], places: Places, file: str, area: str) -> Problem:
    loc: LOC = error["loc"]
    path: Path = tuple(p for p in loc if p != "[key]")
    code, what, fix = _meaning(shape, error, path)
    where = f"{file}:{_line(places, path, error['input'])}"
    return Problem(f"{area}.{code}", where, what, WHY[code], fix)


def _line(places: Places, path: Path, value: Any) -> int:
    """That of the element, when the path ends in a list."""
    if path and isinstance(path[-1], int) and isinstance(value, str):
        return places.words(path[:-1], value)[0]
    return places.of(path)


def _meaning(shape: type[BaseModel], error: dict[str, Any], path: Path) -> tuple[str, str, str]:
    """Code, what is wrong, and what to do."""
    match error["type"]:
        case "extra_forbidden":
            known = _keys(shape, path[:-1])
            return "key_unknown", f"{name_of(path)}: unknown key '{path[-1]}'", nearest(str(path[-1]), known)
        case "missing":
            return "key_missing", f"{name_of(path)} is missing", f"write `{path[-1]} = ...`"
        case "literal_error" if isinstance(error["input"], str):
            known = EXPECTED.findall(error["ctx"]["expected"])
            unknown = f"{name_of(path)}: unknown name '{error['input']}'"
            return "name_unknown", unknown, nearest(error["input"], known)
        case _:
            kind = type(error["input"]).__name__
            return "type_wrong", f"{name_of(path)}: a value of type {kind}", error["msg"].lower()


def _keys(shape: type[BaseModel], path: Path) -> list[str]:
    """The keys known where the path leads: through models, and through lists and tables of them."""
    if issubclass(shape, RootModel):
        shape = _model(shape.model_fields["root"].annotation) or shape
    for step in path:
        if isinstance(step, str) and step in shape.model_fields:
            inner = _model(shape.model_fields[step].annotation)
            shape = inner or shape
    return [field.alias or name for name, field in shape.model_fields.items()]


def _model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model(part))), None)
