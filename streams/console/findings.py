"""The worklist: open findings of a filter, one of them with what each system says, and people's words on them.

Wanted --page--> list --chosen--> preview --said--> words, for all of them or for none
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, Form, Query
from starlette.requests import Request
from starlette.responses import Response

from streams.console import render
from streams.console.acting import act, done
from streams.console.guard import Somebody, may
from streams.console.port import Desk
from streams.console.session import HANDLE, Person
from streams.console.table import Compared, side_by_side
from streams.core.ruling import WAITING
from streams.errors import ConcordError, InvalidInput
from streams.operate.worklist.case import SEVERITIES, Case, Wanted
from streams.operate.worklist.handling import ACTS, MOST, Act, Said, check, stale

WHOSE = {"all": "All", "mine": "Mine", "unassigned": "Unassigned", "deferred": "Deferred"}
DUE = {"": "Any time", "overdue": "Overdue", "week": "Within a week"}
DEFER_DAYS = 7
"""What the form suggests."""
DID = {"assign": "assigned", "release": "released", "defer": "deferred", "resume": "taken up again"}

Handler = Annotated[Person, Depends(may(HANDLE))]


def router() -> APIRouter:
    found = APIRouter(prefix="/findings")

    @found.get("")
    def listing(
        request: Request,
        person: Somebody,
        whose: Annotated[str, Query(max_length=20)] = "all",
        severity: Annotated[str, Query(max_length=20)] = "",
        code: Annotated[str, Query(max_length=100)] = "",
        actor: Annotated[str, Query(max_length=60)] = "",
        due: Annotated[str, Query(max_length=20)] = "",
        entity: Annotated[str, Query(max_length=200)] = "",
        after: Annotated[str, Query(max_length=60)] = "",
    ) -> Response:
        wanted = Wanted(whose, person.who, severity, code, actor, due, entity.strip(), after)
        return render.page(request, "findings.html", **_listed(request.app.state.desk, wanted))

    @found.post("/preview")
    def preview(
        request: Request, person: Handler, chosen: Annotated[list[str] | None, Form()] = None
    ) -> Response:
        cases = _cases(request.app.state.desk, chosen or [])
        _bounded(cases)
        return render.page(request, "findings_preview.html", cases=cases, **_form(person))

    @found.post("/say")
    def say(
        request: Request,
        person: Handler,
        do: Annotated[str, Form(max_length=20)],
        chosen: Annotated[list[str] | None, Form()] = None,
        reason: Annotated[str, Form()] = "",
        to: Annotated[str, Form(max_length=80)] = "",
        until: Annotated[str, Form(max_length=20)] = "",
    ) -> Response:
        said = Said(cast(Act, do), person.who, reason, to, until)
        cases = _cases(request.app.state.desk, chosen or [])
        check(said, cases, date.today())
        return _say(request, person, cases, said)

    @found.get("/{number}")
    def one(request: Request, person: Somebody, number: str) -> Response:
        desk: Desk = request.app.state.desk
        case = desk.worklist.one(number)
        if case is None:
            return render.page(request, "finding_gone.html", 404)
        return render.page(request, "finding.html", case=case, **_form(person), **_beside(desk, case))

    return found


def _listed(desk: Desk, wanted: Wanted) -> dict[str, Any]:
    sums = desk.worklist.sums()
    page = desk.worklist.page(wanted) if sums.progress.whole else None
    kept = {
        "whose": wanted.whose if wanted.whose != "all" else "", "severity": wanted.severity, "code": wanted.code,
        "actor": wanted.actor, "due": wanted.due, "entity": wanted.entity,
    }  # fmt: skip
    choices = {
        "whose": WHOSE,
        "due": DUE,
        "severities": SEVERITIES,
        "most": MOST,
        "today": date.today().isoformat(),
    }
    return {"wanted": wanted, "page": page, "sums": sums, "kept": kept, **choices}


def _form(person: Person) -> dict[str, Any]:
    until = date.today() + timedelta(days=DEFER_DAYS)
    return {
        "acts": ACTS,
        "me": person.who,
        "until": until.isoformat(),
        "most": MOST,
        "today": date.today().isoformat(),
    }


def _cases(desk: Desk, chosen: Sequence[str]) -> list[Case]:
    """The findings of a form, as its author saw them: `number seen`, each stale where it has gone or changed."""
    return [_case(desk, *text.partition(" ")[::2]) for text in dict.fromkeys(chosen[: MOST + 1])]


def _case(desk: Desk, number: str, seen: str) -> Case:
    found = desk.worklist.one(number)
    if found is None:
        step = "nothing was done; look at the list again"
        raise InvalidInput("finding.changed", "a finding you chose is no longer open", step)
    if found.seen != seen:
        raise stale(found, found.handling)
    return found


def _bounded(cases: Sequence[Case]) -> None:
    if not cases:
        raise InvalidInput("finding.none", "no finding is chosen", "choose at least one in the list")
    if len(cases) > MOST:
        message = f"more than {MOST} findings are chosen, which is the most that one word may be about"
        raise InvalidInput("finding.too_many", message, "choose fewer; nothing was done")


def _say(request: Request, person: Person, cases: Sequence[Case], said: Said) -> Response:
    desk: Desk = request.app.state.desk
    names = [f"{c.entity} {c.finding['code']} {c.finding['subject']}" for c in cases]
    act(
        request, person, f"finding.{said.act}", said.reason, lambda: desk.worklist.say(cases, said),
        about=names[0] if len(names) == 1 else f"{len(names)} findings",
        before={"findings": [f"{n}: {_held(c)}" for n, c in zip(names, cases, strict=True)]},
        after={"assignee": said.to, "until": said.until},
    )  # fmt: skip
    many = "1 finding" if len(cases) == 1 else f"{len(cases)} findings"
    whom = f" to {said.to}" if said.act == "assign" else f" until {said.until}" if said.act == "defer" else ""
    return done(
        request,
        f"{many} {DID[said.act]}{whom}.",
        f"/findings/{cases[0].id}" if len(cases) == 1 else "/findings",
    )


def _held(case: Case) -> str:
    held = case.handling
    return f"{held.assignee or 'unassigned'}{f', until {held.until}' if held.until else ''}"


# ---- side by side ----


def _beside(desk: Desk, case: Case) -> dict[str, Any]:
    """What every system says of it, and the proposal it is about; the finding is shown without them, too."""
    nothing: dict[str, Any] = {"rows": [], "name": "", "proposal": None, "why": ""}
    try:
        found = next(iter(desk.providers.explain(case.entity)), None)
        if found is None:
            return nothing
        rows = side_by_side(found)
        proposal = _proposal(desk, case, [(d.proposal, d) for d in found.decisions])
        return {"rows": _about(rows, case), "name": found.name or "", "proposal": proposal, "why": ""}
    except ConcordError as fault:
        return {**nothing, "why": fault.message}


def _about(rows: list[Compared], case: Case) -> list[Compared]:
    """The fields a finding names; where it names none, those in which systems differ."""
    parts = str(case.finding["subject"]).split("/")
    named = [row for row in rows if row.field in parts and row.record in parts]
    return named or [row for row in rows if row.differs]


def _proposal(desk: Desk, case: Case, decisions: Sequence[tuple[str, Any]]) -> dict[str, Any] | None:
    for number, d in decisions:
        if f"{d.system}/{d.record}/{d.row}/{d.field}" == case.finding["subject"] and number.isdecimal():
            return _open(desk, int(number))
    listed = desk.proposals.listed(everything=False) if case.finding["code"].startswith("edit.") else []
    for row in listed:
        subject = f"{row['system']}/{row['record']}/{row['row_id']}/{row['field']}"
        if (row["entity_id"], subject) == (case.finding["entity_id"], case.finding["subject"]):
            return _open(desk, int(row["proposal_id"]))
    return None


def _open(desk: Desk, number: int) -> dict[str, Any] | None:
    found = desk.proposals.show(number)
    return found if found["state"] in WAITING else None
