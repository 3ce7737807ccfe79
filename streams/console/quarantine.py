"""The quarantine: records that could not be used, one of them masked; sending back and putting aside, dry run first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query
from starlette.requests import Request
from starlette.responses import Response

from streams.console import render
from streams.console.acting import act, done, needed
from streams.console.guard import Somebody, may
from streams.console.port import Desk
from streams.console.session import OPERATE, Person
from streams.errors import InvalidInput
from streams.operate.quarantine.chosen import ALL, Asked
from streams.operate.quarantine.handle import Handled
from streams.operate.quarantine.register import OPEN, STATES

LIMIT = 100
MOST = 1_000
"""Records that one act may be about here; more are for the command line, whose filter says which."""
DID = {"replay": "sent back", "discard": "put aside"}
Operator = Annotated[Person, Depends(may(OPERATE))]


def router() -> APIRouter:
    found = APIRouter(prefix="/quarantine")

    @found.get("")
    def listing(
        request: Request,
        person: Somebody,
        code: Annotated[str, Query(max_length=100)] = "",
        system: Annotated[str, Query(max_length=40)] = "",
        state: Annotated[str, Query(max_length=20)] = OPEN,
    ) -> Response:
        asked = Asked([code] if code else (), [system] if system else (), state=state)
        listed = request.app.state.desk.quarantine.listing(asked, LIMIT)
        return render.page(
            request,
            "quarantine.html",
            listed=listed,
            code=code,
            system=system,
            state=state,
            states=(*STATES, ALL),
        )

    @found.get("/record")
    def one(request: Request, person: Somebody, origin: Annotated[str, Query(max_length=300)]) -> Response:
        return render.page(
            request, "quarantine_record.html", shown=request.app.state.desk.quarantine.show(origin)
        )

    @found.post("/preview")
    def preview(
        request: Request,
        person: Operator,
        do: Annotated[str, Form()],
        chosen: Annotated[list[str] | None, Form()] = None,
        reason: Annotated[str, Form()] = "",
    ) -> Response:
        work = _work(request, person, do, chosen or [], reason)
        return render.page(
            request, "quarantine_preview.html", told=work(False), do=do, chosen=chosen, reason=reason
        )

    @found.post("/apply")
    def apply(
        request: Request,
        person: Operator,
        do: Annotated[str, Form()],
        expected: Annotated[int, Form()],
        chosen: Annotated[list[str] | None, Form()] = None,
        reason: Annotated[str, Form()] = "",
    ) -> Response:
        work = _work(request, person, do, chosen or [], reason)
        if (would := work(False).chosen) != expected:
            message = f"{would} of the {expected} records you looked at are still open: somebody was first"
            raise InvalidInput("finding.changed", message, "nothing was done; look at the list again")
        handled = act(
            request, person, f"quarantine.{do}", reason, lambda: work(True), about=f"{expected} quarantined records",
            before={"state": OPEN, "origins": (chosen or [])[:MOST]}, after={"state": do},
        )  # fmt: skip
        return done(request, f"{handled.done} records {DID[do]}.", "/quarantine")

    return found


def _work(
    request: Request, person: Person, do: str, chosen: list[str], reason: str
) -> Callable[[bool], Handled]:
    """What is to be done, as a dry run or in earnest."""
    desk: Desk = request.app.state.desk
    why = needed(reason)
    if not chosen or len(chosen) > MOST:
        message = f"{len(chosen)} records are chosen; from 1 to {MOST} can be"
        raise InvalidInput(
            "quarantine.chosen", message, "choose in the list; more with concord quarantine replay"
        )
    asked = Asked(origins=chosen)
    acts: dict[str, Callable[[bool], Any]] = {
        "replay": lambda apply: desk.quarantine.replay(asked, person.who, apply=apply),
        "discard": lambda apply: desk.quarantine.discard(asked, why, person.who, apply=apply),
    }
    if do not in acts:
        raise InvalidInput("quarantine.act", "there is no such act", "send back, or put aside")
    return acts[do]
