"""An act of an operator: written down before it is done, and what became of it afterwards.

    with act(settings, "pat", "pause", subject="directory", why="upgrade"):    intended, committed
        pausing.pause(...)                                                     the act
                                                                               done, or failed and its code

Whoever can't be written down does nothing: the first row is committed before the act begins, or `act` raises and the
body never runs. A process that dies in between leaves a row without an end (`concord audit list --unfinished`). The
database computes the chain (connectors/stewardship/schema.sql); role concord_audit may add links and change none. What
is restricted never enters (masked.py). Never decides whether somebody may act.
"""

from __future__ import annotations

import getpass
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import psycopg
from psycopg.types.json import Jsonb

from streams.errors import ConcordError, EnvironmentFault, InvalidInput
from streams.operate.audit.masked import masked
from streams.operate.masking import looks_restricted
from streams.settings import Settings, need

Said: TypeAlias = Mapping[str, Any] | None
"""A state in names and values: what was, or what is to be."""
Entity: TypeAlias = tuple[str, str]
"""(kind, id): whom it is about, where it is about one."""

INTENDED, DONE, FAILED = "intended", "done", "failed"
APPEND = "select audit_append(%s, %s, %s, %s, %s)"
SECONDS = 5
LONGEST = 500


@dataclass(slots=True)
class Act:
    """One act. What its body puts into `before` and `after` stands in the row of its outcome."""

    who: str
    what: str
    entity: Entity | None
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    before: Said = None
    after: Said = None

    def row(self, phase: str, **more: Any) -> list[Any]:
        """What `audit_append` is told."""
        said = {"before": masked(self.before), "after": masked(self.after), **more}
        about = {name: value for name, value in said.items() if value not in (None, "")}
        kind, entity_id = self.entity or (None, None)
        return [self.who, self.what, kind, entity_id, Jsonb({"act": self.id, "phase": phase, **about})]


@contextmanager
def act(
    settings: Settings,
    who: str,
    what: str,
    *,
    why: str = "",
    subject: str = "",
    entity: Entity | None = None,
    before: Said = None,
    after: Said = None,
    correlation: str = "",
) -> Iterator[Act]:
    """Write it down, let it be done, write down what became of it.

    `what`: the command, dotted where it has parts. `subject`: what it is about, in words. `correlation`: the proposal,
    repair or signal it belongs to. Raises EnvironmentFault `audit.unwritten` before the body, which then never runs,
    and `audit.outcome_unwritten` behind one that was done; what the body raises is raised on.
    """
    _check(who, why)
    found = Act(who, what, entity, before=before, after=after)
    append(settings, found.row(INTENDED, why=why, subject=masked(subject), correlation=correlation))
    found.before = found.after = (
        None  # what was intended stands there; what became of it is the body's to say
    )
    try:
        yield found
    except BaseException as fault:  # also Ctrl-C: an act that was cut short did not end well
        _fail(settings, found, fault)
        raise
    _end(settings, found)


def actor(settings: Settings, by: str = "") -> str:
    """Who acts: as they say, else CONCORD_ACTOR, else the account they are logged in as."""
    return by.strip() or settings.actor.strip() or getpass.getuser()


def _check(who: str, why: str) -> None:
    if not who.strip():
        raise InvalidInput("audit.who", "nobody says who does this", "say who: --by, or CONCORD_ACTOR")
    if len(why) > LONGEST:
        raise InvalidInput("audit.why", f"a reason has at most {LONGEST} characters", "say it shorter")
    if looks_restricted(why):  # Invariant 11
        said = "the reason holds what looks like a social security, tax or DEA number"
        raise InvalidInput("audit.why", said, "say why in a sentence without personal data")


def _fail(settings: Settings, found: Act, fault: BaseException) -> None:
    """Its own error is what is told: that its end could not be written, too, is second to it."""
    code = fault.code if isinstance(fault, ConcordError) else type(fault).__name__
    try:
        append(settings, found.row(FAILED, code=code))
    except EnvironmentFault as unwritten:
        fault.add_note(f"{unwritten.message}: the act stands in the audit without an end")


def _end(settings: Settings, found: Act) -> None:
    try:
        append(settings, found.row(DONE))
    except EnvironmentFault as fault:
        said = f"{found.what} was done, but its end is not in the audit: {fault.message}"
        step = f"concord audit show {found.id}, once the stewardship database answers"
        raise EnvironmentFault("audit.outcome_unwritten", said, step) from fault


def append(settings: Settings, row: list[Any]) -> None:
    """One link of the chain, committed."""
    dsn = need(settings.audit, "CONCORD_AUDIT")
    try:
        with psycopg.connect(dsn, connect_timeout=SECONDS) as connection:
            connection.execute(APPEND, row)
    except psycopg.Error as fault:
        said = f"the audit can't be written ({type(fault).__name__}), so nothing is done"
        step = "see that the stewardship database answers and CONCORD_AUDIT may use it: concord doctor"
        raise EnvironmentFault("audit.unwritten", said, step) from fault
