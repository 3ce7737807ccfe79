"""One provider, organization or location: systems side by side, findings, history, trace; the audited reveal."""

from __future__ import annotations

from itertools import groupby
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from streams.console import render
from streams.console.acting import act
from streams.console.guard import Somebody, may
from streams.console.port import Desk
from streams.console.session import REVEAL, Person
from streams.console.table import Compared, side_by_side
from streams.errors import InvalidInput
from streams.operate.reveal import Place
from streams.operate.worklist.case import key_of, number_of
from streams.systems import EDITING

Revealer = Annotated[Person, Depends(may(REVEAL))]


def router() -> APIRouter:
    found = APIRouter(prefix="/providers")

    @found.get("")
    def search(
        request: Request, person: Somebody, key: Annotated[str, Query(max_length=200)] = ""
    ) -> Response:
        if not key.strip():
            return render.page(request, "providers.html")
        desk: Desk = request.app.state.desk
        named = desk.providers.named(key)
        if len(named) > 1:
            return render.page(request, "providers.html", several=desk.providers.explain(key))
        return RedirectResponse(f"/providers/{named[0]}", 303)

    @found.post("/reveal")
    def reveal(
        request: Request,
        person: Revealer,
        entity: Annotated[str, Form(max_length=200)],
        place: Annotated[str, Form(max_length=300)],
        reason: Annotated[str, Form()] = "",
    ) -> Response:
        where = _place(entity, place)
        desk: Desk = request.app.state.desk
        value = act(
            request, person, "value.reveal", reason, lambda: desk.providers.reveal(where), about=str(where)
        )
        return render.page(request, "revealed.html", place=where, value=value, reason=reason)

    @found.get("/{kind}/{entity_id}")
    def one(request: Request, person: Somebody, kind: str, entity_id: str) -> Response:
        explained = request.app.state.desk.providers.explain(f"{kind}/{entity_id}")[0]
        return render.page(request, "provider.html", found=explained, **_shown(explained))

    @found.get("/{kind}/{entity_id}/trace")
    def trace(request: Request, person: Somebody, kind: str, entity_id: str) -> Response:
        traced = request.app.state.desk.providers.trace(f"{kind}/{entity_id}")[0]
        return render.page(request, "trace.html", found=traced)

    return found


def _place(entity: str, text: str) -> Place:
    """`system|record|row|field`, as the form offers it."""
    parts = text.split("|")
    if len(parts) != 4:
        raise InvalidInput("reveal.place", "there is no such value", "choose one of those offered")
    return Place(entity, *parts)


def _shown(found: Any) -> dict[str, Any]:
    rows = side_by_side(found)
    about = {"kind": found.kind, "entity_id": found.id}
    opened = [
        (f"{number_of(key_of({**about, 'code': f.code, 'subject': f.subject})):x}", f) for f in found.findings
    ]
    records = [(record, list(fields)) for record, fields in groupby(rows, key=_record)]
    apart = sum(row.differs for row in rows)
    return {"systems": EDITING, "records": records, "apart": apart, "opened": opened}


def _record(row: Compared) -> tuple[str, str]:
    return row.record, row.row
