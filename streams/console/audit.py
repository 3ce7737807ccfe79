"""Who did what, when and why: the newest first."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from streams.console import render
from streams.console.guard import may
from streams.console.session import AUDIT, Person

PAGE, MOST = 100, 1_000
Reader = Annotated[Person, Depends(may(AUDIT))]


def router() -> APIRouter:
    found = APIRouter(prefix="/audit")

    @found.get("")
    def listing(
        request: Request,
        person: Reader,
        who: Annotated[str, Query(max_length=80)] = "",
        limit: Annotated[int, Query(ge=1, le=MOST)] = PAGE,
    ) -> Response:
        entries = request.app.state.desk.audit.entries(who.strip(), limit)
        more = min(limit * 2, MOST) if len(entries) == limit < MOST else None
        return render.page(request, "audit.html", entries=entries, more=more, who=who)

    return found
