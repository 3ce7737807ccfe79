"""Every act of the console in one place: audited first, then done, then told on the next page.

    form --module--> act(...): audit entry written --do()--> 303 to a page that says so

An act stands inside `Audit.act`: without its entry it does not happen, and an act that is refused leaves its page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from streams.console.port import Desk
from streams.console.session import Person, tell
from streams.errors import InvalidInput

LONGEST = 500
T = TypeVar("T")


def act(
    request: Request,
    person: Person,
    what: str,
    why: str,
    do: Callable[[], T],
    *,
    about: str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> T:
    """Do it inside its audit entry. `before` and `after` name states and places, never a restricted value."""
    desk: Desk = request.app.state.desk
    reason = needed(why)
    with desk.audit.act(person.who, what, reason, about, before or {}, after or {}):
        return do()


def done(request: Request, text: str, to: str) -> Response:
    """Back to a page, which says once what was done."""
    tell(request, text)
    return RedirectResponse(to, 303)


def needed(why: str) -> str:
    """A reason, as every act needs one."""
    if not why.strip() or len(why) > LONGEST:
        raise InvalidInput(
            "console.reason", f"a reason has 1 to {LONGEST} characters", "nothing was done; say why"
        )
    return why.strip()
