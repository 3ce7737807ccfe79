"""Who did what, when and why: the newest first, page by page."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from streams.console import render
from streams.console.guard import may
from streams.console.session import AUDIT, Person

LIMIT = 50
Reader = Annotated[Person, Depends(may(AUDIT))]


def router() -> APIRouter:
    found = APIRouter(prefix="/audit")

    @found.get("")
    def listing(request: Request, person: Reader, before: Annotated[int | None, Query()] = None) -> Response:
        entries = request.app.state.desk.audit.entries(LIMIT + 1, before)
        more = entries[LIMIT - 1].number if len(entries) > LIMIT else None
        return render.page(request, "audit.html", entries=entries[:LIMIT], more=more, before=before)

    return found
