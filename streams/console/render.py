"""Templates to pages: every value escaped, who is signed in and what they may in each of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from streams.console.guard import NO_STORE
from streams.console.session import person_of, told

FOLDER = Path(__file__).parent
TOPICS = (
    ("/", "Overview"),
    ("/findings", "Findings"),
    ("/providers", "Providers"),
    ("/proposals", "Proposals"),
    ("/quarantine", "Quarantine"),
    ("/audit", "Audit"),
)
"""The pages of the menu."""
NOBODY_KNOWS = "\u2013"
"""A dash, never a zero."""


def page(request: Request, template: str, status: int = 200, /, **values: Any) -> HTMLResponse:
    """A whole page."""
    return HTMLResponse(html(request, template, **values), status, headers=NO_STORE)


def html(request: Request, template: str, **values: Any) -> str:
    """A template as text."""
    found = person_of(request)
    always = {"person": found, "topics": TOPICS, "path": request.url.path, "told": told(request)}
    return _ENVIRONMENT.get_template(template).render({**always, **values})


def ago(at: float) -> str:
    """How long since a moment (epoch seconds)."""
    return span(max(datetime.now(UTC).timestamp() - at, 0)) + " ago"


def span(seconds: float | None) -> str:
    """Seconds as people say them; a lag that nobody measured is a dash, never a zero."""
    if seconds is None:
        return NOBODY_KNOWS
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 1 or not seconds else f"{seconds * 1000:.0f} ms"


def within(objective: str) -> str:
    """An objective of the handoff map in words: `2b` is two business days."""
    unit = {"s": "s", "m": "min", "h": "h", "d": "d", "b": "business days"}[objective[-1]]
    return f"{objective[:-1]} {unit}"


def number(value: float | None) -> str:
    """With thousands; a dash for what nobody knows."""
    return NOBODY_KNOWS if value is None else f"{value:,}"


def size(value: int | None) -> str:
    """Bytes."""
    if value is None:
        return NOBODY_KNOWS
    for unit, each in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= each:
            return f"{value / each:.1f} {unit}"
    return f"{value} B"


def sentence(text: Any) -> str:
    """With a capital in front."""
    return str(text)[:1].upper() + str(text)[1:]


def moment(text: Any) -> str:
    """An ISO time to the second, as it was kept: UTC."""
    return str(text or "")[:19].replace("T", " ")


def link(values: Mapping[str, Any]) -> str:
    """A query of what is set."""
    return "&".join(f"{quote(str(k))}={quote(str(v), safe='')}" for k, v in values.items() if v)


_ENVIRONMENT = Environment(
    loader=FileSystemLoader(FOLDER / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters.update(
    ago=ago, span=span, number=number, size=size, moment=moment, link=link, sentence=sentence, within=within
)
_ENVIRONMENT.filters["part"] = lambda text: quote(str(text), safe="")
