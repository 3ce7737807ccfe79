"""What an API's answer means for a view: settled, to be asked again, or a fault that needs a person.

    2xx                        applied; a replay of what the API has already is superseded, and confirmed all the same
    412, 409 with a newer one  superseded
    424                        deferred: it names what it waits for
    400, 410, 413, 422, 409    failed: this one view; sent once, never again by itself
    202, 408, 425, 429, 5xx    Unavailable: the same request again, not before Retry-After
    401, 403, 404, other       EnvironmentFault: no view can pass, so all of them wait

Pure. Messages quote an answer only without the view's values and without long numbers or dates (Invariant 11).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from connectors.rest.request import key
from connectors.sink import Applied, Deferred, Failed, Outcome, Superseded, View
from streams.errors import ConcordError, EnvironmentFault, Unavailable

VALUE, CONFLICT = "target.value", "target.conflict"
DOWN, BUSY, PENDING = "target.unavailable", "target.busy", "target.unconfirmed"
CREDENTIALS, FORBIDDEN, SCHEMA = "target.credentials", "target.forbidden", "target.schema"

LONGEST_WAIT = 900.0  # seconds; an API that asks for a year is asked again sooner
RECHECK = 15.0  # seconds between two tries with credentials that were refused: sooner looks like guessing
SHOWN = 300  # characters of an answer in a message
SENSITIVE = re.compile(r"\d{4}-\d{2}-\d{2}|\d[\d ()./-]{6,}\d|[A-Za-z]{2}\d{7}")
PATH = re.compile(r"[a-z]+/[A-Za-z0-9._~%@:-]{1,200}")


@dataclass(frozen=True, slots=True)
class Answer:
    """An API's answer, read whole. `headers` by lower-case name."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def told(self) -> Any:
        """The body as JSON, else an empty object."""
        try:
            return json.loads(self.body)
        except ValueError:
            return {}


@dataclass(frozen=True, slots=True)
class Settled:
    """A view's outcome; `confirmed`: the API said that it holds this very revision."""

    outcome: Outcome
    confirmed: bool = False


def meaning(system: str, view: View, answer: Answer, now: datetime) -> Settled:
    """Raises Unavailable or EnvironmentFault when the answer is not about this view."""
    match answer.status:
        case 200 | 201 | 204:
            replayed = answer.headers.get("idempotent-replayed") == "true"
            return Settled(Superseded() if replayed else Applied(), confirmed=True)
        case 412:
            return Settled(Superseded())
        case 409 if (held := _held(answer)) is not None and held >= view.revision:
            return Settled(Superseded(), confirmed=held == view.revision)
        case 409 if "retry-after" not in answer.headers:
            return Settled(Failed(CONFLICT, described(view, answer)))
        case 424:
            return Settled(_deferred(view, answer))
        case 400 | 410 | 413 | 422:
            return Settled(Failed(VALUE, described(view, answer)))
        case _:
            raise fault(system, view, answer, now)


def described(view: View, answer: Answer) -> str:
    """Kind, status and what the answer says; the view's own values in it are shown as their paths."""
    text = _text(answer)
    for value, path in sorted(_values(view.content), key=lambda pair: -len(pair[0])):
        text = text.replace(value, f"<{path}>")
    text = " ".join(SENSITIVE.sub("#", text).split())
    return f"{view.kind}: HTTP {answer.status}" + (f": {text[:SHOWN]}" if text else "")


def retry_after(headers: Mapping[str, str], now: datetime) -> float:
    """Seconds the API asks us to wait, from either form of the header; 0 when it doesn't ask or can't be read."""
    asked = headers.get("retry-after", "").strip()
    if asked.isascii() and asked.isdigit():
        return min(float(asked), LONGEST_WAIT)
    try:
        seconds = (parsedate_to_datetime(asked) - now).total_seconds()
    except (ValueError, TypeError):
        return 0.0
    return min(max(seconds, 0.0), LONGEST_WAIT)


def fault(system: str, view: View, answer: Answer, now: datetime) -> ConcordError:
    """An answer that is about no view: what it is for the adapter."""
    text = f"{system}: HTTP {answer.status} for {key(view)}"
    wait = retry_after(answer.headers, now)
    match answer.status:
        case 202:
            return Unavailable(PENDING, text, "it is asked again with the same key until it confirms", wait)
        case 409 | 429 | 503:
            return Unavailable(BUSY, text, "the adapter waits as long as it is asked to", wait)
        case 408 | 425:
            return Unavailable(DOWN, text, "the adapter retries by itself", wait)
        case status if status >= 500:
            return Unavailable(DOWN, text, "the adapter retries by itself; see the API's own log", wait)
        case 401:
            return refused_credentials(f"{system}: HTTP 401, with a new token too")
        case 403:
            step = "give the client the right to PUT views; the adapter goes on by itself"
            return EnvironmentFault(FORBIDDEN, text, step, RECHECK)
        case _:
            step = "compare the API with docs/systems-behind-an-api.md, and its address with the setting"
            return EnvironmentFault(SCHEMA, text, step, RECHECK)


def refused_credentials(text: str) -> EnvironmentFault:
    step = "renew the client's secret (a file is read again by itself); nothing is lost, the adapter goes on then"
    return EnvironmentFault(CREDENTIALS, text, step, RECHECK)


def _held(answer: Answer) -> int | None:
    told = answer.told
    held = told.get("revision") if isinstance(told, dict) else None
    return held if isinstance(held, int) else None


def _deferred(view: View, answer: Answer) -> Outcome:
    """Only a path of the API itself may be asked for later."""
    told = answer.told
    waits_for = told.get("waits_for") if isinstance(told, dict) else None
    if isinstance(waits_for, str) and PATH.fullmatch(waits_for):
        return Deferred(waits_for)
    return Failed(VALUE, described(view, answer))


def _text(answer: Answer) -> str:
    """JSON and plain text are quoted; a web page says nothing that a receipt could use."""
    kind = answer.headers.get("content-type", "").partition(";")[0]
    if kind != "text/plain" and not kind.endswith("json"):
        return ""
    return answer.body[: 8 * SHOWN].decode("utf-8", "replace")


def _values(content: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every value of a view worth hiding, with its path: texts and numbers of three characters or more."""
    if isinstance(content, dict):
        for name, value in content.items():
            yield from _values(value, f"{path}.{name}" if path else name)
    elif isinstance(content, list):
        for value in content:
            yield from _values(value, f"{path}[]")
    elif content is not None and not isinstance(content, bool) and len(str(content)) > 2:
        yield str(content), path
