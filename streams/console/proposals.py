"""Proposals: what waits for a ruling, one of them whole, and a person's word on it.

Who may sign, and whether a signature counts, is decided by the stewardship's verdict, here as on the command line:
nobody rules on what they proposed, and four eyes are two people.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, cast

from fastapi import APIRouter, Depends, Form, Query
from starlette.requests import Request
from starlette.responses import Response

from connectors.stewardship.verdict import Decision, Word
from streams.console import render
from streams.console.acting import act, done, needed
from streams.console.guard import Refused, Somebody, may
from streams.console.port import MOST_PROPOSALS, Desk
from streams.console.session import RULE, Person
from streams.errors import InvalidInput

DECISIONS = {"approve": "approved", "reject": "refused", "lock": "refused for good", "withdraw": "withdrawn"}
PAGE = 100
Ruler = Annotated[Person, Depends(may(RULE))]


def router() -> APIRouter:
    found = APIRouter(prefix="/proposals")

    @found.get("")
    def listing(
        request: Request,
        person: Somebody,
        everything: Annotated[bool, Query()] = False,
        limit: Annotated[int, Query(ge=1, le=MOST_PROPOSALS)] = PAGE,
    ) -> Response:
        found = request.app.state.desk.proposals.listed(everything=everything, most=limit + 1)
        rows, is_cut = found[:limit], len(found) > limit
        more = min(limit * 2, MOST_PROPOSALS) if is_cut and limit < MOST_PROPOSALS else None
        return render.page(
            request, "proposals.html", rows=rows, everything=everything, is_cut=is_cut, more=more
        )

    @found.get("/{number}")
    def one(request: Request, person: Somebody, number: int) -> Response:
        return render.page(request, "proposal.html", proposal=request.app.state.desk.proposals.show(number))

    @found.post("/{number}/say")
    def say(
        request: Request,
        person: Ruler,
        number: int,
        decision: Annotated[str, Form(max_length=20)],
        seen: Annotated[str, Form(max_length=60)],
        role: Annotated[str, Form(max_length=60)] = "",
        reason: Annotated[str, Form()] = "",
        evidence: Annotated[list[str] | None, Form()] = None,
        shown: Annotated[list[str] | None, Form()] = None,
        effective_date: Annotated[str, Form(max_length=20)] = "",
        until: Annotated[str, Form(max_length=20)] = "",
    ) -> Response:
        papers = {n: ref.strip() for n, ref in zip(evidence or [], shown or [], strict=False) if ref.strip()}
        word = _word(person, decision, role, reason, papers, effective_date, until)
        desk: Desk = request.app.state.desk
        act(
            request, person, f"proposal.{decision}", reason, lambda: desk.proposals.say(number, word, seen),
            about=f"proposal {number}", before={"seen": seen}, after={"decision": decision, "role": role},
        )  # fmt: skip
        return done(request, f"Proposal {number} {DECISIONS[decision]} as {role}.", f"/proposals/{number}")

    @found.post("/{number}/comment")
    def comment(request: Request, person: Ruler, number: int, body: Annotated[str, Form()] = "") -> Response:
        text = needed(body)
        desk: Desk = request.app.state.desk
        act(
            request, person, "proposal.comment", "a remark", lambda: desk.proposals.comment(number, person.who, text),
            about=f"proposal {number}",
        )  # fmt: skip
        return done(request, "Your remark stands.", f"/proposals/{number}")

    return found


def _word(
    person: Person, decision: str, role: str, reason: str, papers: dict[str, str], effective: str, until: str
) -> Word:
    """Refused where somebody claims a role that isn't theirs."""
    if decision not in DECISIONS:
        raise InvalidInput(
            "proposal.decision", "there is no such decision", f"one of: {', '.join(DECISIONS)}"
        )
    if role not in person.signs:
        step = f"you sign as: {', '.join(person.signs) or 'nobody'}"
        raise Refused("console.role", "you do not sign in this role", step)
    return Word(
        person.who, role, cast(Decision, decision), needed(reason), papers, _day(effective), _day(until)
    )


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat() if text else ""
    except ValueError:
        raise InvalidInput("proposal.date", "this is no date", "write it as 2026-06-01") from None
