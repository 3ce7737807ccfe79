"""Loads `handoffs.toml`: the declared flows between systems, checked against those that authority makes.

    text --strict--> HandoffFile --check(carried)--> problems     handoffs(): what `concord handoffs` shows

A flow that nobody declared has no trigger, no confirmation and no objective; a declared one that nothing carries is
taken for automatic by whoever reads the map. Both are refused. Which flows there are is derived elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from schemas import strict
from schemas.authority_file import Role
from schemas.place import Places
from schemas.problem import Problem, refuse
from streams.systems import SYSTEMS

NAME = "handoffs.toml"
if TYPE_CHECKING:
    Party = str
else:  # names that are read from the registry of systems
    Party = Literal[*SYSTEMS, "payer"]
Carries = Literal["view", "request", "outside"]
Flow: TypeAlias = tuple[str, str, str]
"""(from, to, carries)"""

VIEW, REQUEST, OUTSIDE = "view", "request", "outside"
UNIT_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
BUSINESS_DAY = "b"
_DURATION = re.compile(r"([1-9]\d*)([smhdb])")


@dataclass(frozen=True, slots=True)
class Duration:
    """How long: seconds, or business days."""

    text: str
    seconds: int = 0
    business_days: int = 0


def _duration(value: Any) -> Duration:
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("write it as 30s, 5m, 24h, 10d or 2b (business days)")
    number, unit = int(found[1]), found[2]
    return (
        Duration(value, 0, number) if unit == BUSINESS_DAY else Duration(value, number * UNIT_SECONDS[unit])
    )


class _Outside(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)


Objective = Annotated[Duration, BeforeValidator(_duration)]


class Handoff(_Outside):
    """One directed flow."""

    source: Party = Field(alias="from")
    to: Party
    carries: Carries
    trigger: str = Field(min_length=1)
    confirmed_by: str = Field(min_length=1)
    objective: Objective
    objective_batch: Objective | None = None
    transport: list[Literal["stream", "batch"]] = Field(min_length=1)
    person: str = ""
    note: str = ""

    @property
    def flow(self) -> Flow:
        return self.source, self.to, self.carries

    @property
    def manual(self) -> bool:
        """Whether a person is in it."""
        return bool(self.person)


class HandoffFile(_Outside):
    """The whole map."""

    version: int = Field(ge=1)
    owner: Role
    reviewed_on: date
    handoff: list[Handoff]


def handoffs() -> Sequence[Handoff]:
    """Those that are shipped; InvalidInput says what is wrong with the file."""
    return _shipped()


@cache
def _shipped() -> Sequence[Handoff]:
    parsed, _, problems = read()
    if parsed is None:
        refuse(problems)
    return parsed.handoff


def read(text: str | None = None) -> tuple[HandoffFile | None, Places, list[Problem]]:
    """The file, or this text, and what is wrong with its form."""
    text = files("schemas").joinpath(NAME).read_text("utf-8") if text is None else text
    return strict.parse(HandoffFile, text, NAME, "handoff")


def check(carried: Mapping[Flow, Sequence[str]], text: str | None = None) -> list[Problem]:
    """All that is wrong with the map. `carried`: the flows there are, with the fields that make each."""
    parsed, places, problems = read(text)
    if parsed is None:
        return problems
    return [*problems, *_undeclared(parsed, carried), *_declared(parsed, carried, places)]


def _undeclared(parsed: HandoffFile, carried: Mapping[Flow, Sequence[str]]) -> Iterator[Problem]:
    declared = {handoff.flow for handoff in parsed.handoff}
    for flow in sorted(carried.keys() - declared):
        source, to, carries = flow
        fields = ", ".join(carried[flow][:3]) + (", ..." if len(carried[flow]) > 3 else "")
        makes = f"{source} owns {fields}, which is in a view of {to}"
        proposes = f"{source} proposes {fields}, which {to} owns"
        yield Problem(
            "handoff.undeclared",
            NAME,
            f"no handoff {source} -> {to} that carries a {carries}: {makes if carries == VIEW else proposes}",
            "nobody would know what starts it, what confirms it and when it is late",
            f'add [[handoff]] with from = "{source}", to = "{to}", carries = "{carries}"',
        )


def _declared(
    parsed: HandoffFile, carried: Mapping[Flow, Sequence[str]], places: Places
) -> Iterator[Problem]:
    seen: set[Flow] = set()
    for number, handoff in enumerate(parsed.handoff):
        where = f"{NAME}:{places.of(('handoff', number, 'from'))}"
        yield from _alone(handoff, where, seen, carried)
        seen.add(handoff.flow)


def _alone(
    handoff: Handoff, where: str, seen: set[Flow], carried: Mapping[Flow, Sequence[str]]
) -> Iterator[Problem]:
    """What is wrong with one of them."""
    name = f"{handoff.source} -> {handoff.to} ({handoff.carries})"
    if handoff.source == handoff.to:
        yield Problem(
            "handoff.self",
            where,
            f"{name} ends where it begins",
            "nothing is handed over",
            "name another system",
        )
    if handoff.flow in seen:
        yield Problem(
            "handoff.twice", where, f"{name} is declared twice", "of two objectives nobody could say which counts",
            "remove one of the two",
        )  # fmt: skip
    if handoff.carries != OUTSIDE and handoff.flow not in carried:
        yield Problem(
            "handoff.not_carried", where, f"nothing carries {name}",
            "whoever reads the map would take it for automatic",
            'remove it, or say carries = "outside" and who does it',
        )  # fmt: skip
    if handoff.carries != VIEW and not handoff.manual:
        yield Problem(
            "handoff.person", where, f"{name} does not say who is in it",
            "a handoff taken for automatic that waits for a person is the one that fails",
            "add person = ...",
        )  # fmt: skip
