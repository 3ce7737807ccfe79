"""The first page: how fresh every system is, whether they agree, and what waits for a person; kept live.

Look, sums --rows--> one line a system --> page, and server-sent events of its middle part
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from streams.console import render
from streams.console.guard import NO_STORE, Somebody
from streams.console.port import Desk, Look
from streams.errors import ConcordError
from streams.operate.exporter.course import FLOWING
from streams.operate.parity import System
from streams.operate.standing import CAUGHT_UP, LAGGING, STOPPED, UNKNOWN, Capture, Hop, worst
from streams.systems import SYSTEMS

FRESH, LATE = "fresh", "late"
EVERY = 1.0
"""Seconds between two looks at whether there is news for a browser."""
CYCLES = 3_600
"""A stream ends after so many; the browser opens another."""


@dataclass(frozen=True, slots=True)
class Line:
    """One system, or the platform itself: its worst state, each hop, and how it agrees."""

    name: str
    state: str
    captured: tuple[str, float | None]
    delivered: tuple[str, float | None]
    waiting: int | None
    parity: System | None
    why: str


def router() -> APIRouter:
    found = APIRouter()

    @found.get("/")
    def overview(request: Request, person: Somebody) -> Response:
        return render.page(request, "overview.html", **middle(request.app.state.desk))

    @found.get("/events/overview")
    async def events(request: Request, person: Somebody) -> Response:
        stream = _events(request)
        return StreamingResponse(stream, media_type="text/event-stream", headers=NO_STORE)

    return found


async def _events(request: Request) -> AsyncIterator[str]:
    """The middle of the page, each time there is a newer look."""
    desk: Desk = request.app.state.desk
    seen = -1
    for _ in range(CYCLES):
        if (newest := desk.freshness.newest().number) != seen:
            seen = newest
            yield event("look", await run_in_threadpool(_middle, request, desk))
        if await request.is_disconnected():
            return
        await asyncio.sleep(EVERY)


def _middle(request: Request, desk: Desk) -> str:
    return render.html(request, "_overview.html", **middle(desk))


def event(name: str, text: str) -> str:
    """As server-sent events have it."""
    return f"event: {name}\n" + "".join(f"data: {line}\n" for line in text.splitlines()) + "\n"


def middle(desk: Desk) -> dict[str, Any]:
    """What the page shows."""
    look = desk.freshness.newest()
    rows = lines(look)
    return {
        "look": look,
        "lines": rows,
        "state": worst_of(row.state for row in rows),
        "sums": desk.worklist.sums(),
        **_waits(desk),
    }


def _waits(desk: Desk) -> dict[str, Any]:
    """Proposals that wait; the page is there without the stewardship database too."""
    try:
        return {"proposals": desk.proposals.waiting(), "proposals_why": ""}
    except ConcordError as fault:
        return {"proposals": None, "proposals_why": fault.message}


def lines(look: Look) -> list[Line]:
    """The platform's own hop first, then each system."""
    if look.status is None:
        return []
    captures = {c.system: c for c in look.status.capture}
    hops = {h.name: h for h in look.status.adapters}
    parities = {s.system: s for s in (look.parity.systems if look.parity else [])}
    decide = look.status.decide
    own = Line(
        "decide", hop_state(decide), ("", None), (hop_state(decide), decide.lag_seconds), decide.lag_records, None,
        decide.why,
    )  # fmt: skip
    return [own, *(_line(s, captures.get(s), hops.get(s), parities.get(s)) for s in SYSTEMS)]


def _line(name: str, capture: Capture | None, hop: Hop | None, parity: System | None) -> Line:
    captured = (
        ("", None) if capture is None else (state_of(capture.state, capture.lag_seconds), capture.lag_seconds)
    )
    delivered = ("", None) if hop is None else (hop_state(hop), hop.lag_seconds)
    state = worst_of(s for s, _ in (captured, delivered) if s)
    whys = [part.why for part in (capture, hop) if part is not None and part.why]
    waiting = hop.lag_records if hop is not None else None
    return Line(name, state, captured, delivered, waiting, parity, "; ".join(dict.fromkeys(whys)))


def hop_state(hop: Hop) -> str:
    """A hop in this page's words."""
    return state_of(hop.state, hop.lag_seconds)


def state_of(state: str, seconds: float | None) -> str:
    """What has waited no longer than a moment is on its way, not late."""
    if state == LAGGING:
        return LATE if seconds is None or seconds > FLOWING else FRESH
    return FRESH if state == CAUGHT_UP else state


def worst_of(states: Iterable[str]) -> str:
    """Of several."""
    back = {FRESH: CAUGHT_UP, LATE: LAGGING, STOPPED: STOPPED, UNKNOWN: UNKNOWN}
    return state_of(worst(back[s] for s in states), None)
