"""Who is signed in: a person with roles, in a cookie that is signed and ends.

    OpenID Connect, or the development login --Person--> signed cookie --person_of--> every page

The cookie holds names and roles, no secret: who changes one bit of it is signed out. Roles come from the identity
provider's groups (`concord.steward`), and so do the roles somebody signs proposals in (`concord.sign.billing_lead`).
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from streams.core.ruling import STEWARD as DATA_STEWARD

VIEWER, OPERATOR, STEWARD, ADMIN = "viewer", "operator", "steward", "admin"
ROLES = (VIEWER, OPERATOR, STEWARD, ADMIN)
GROUP, SIGNS = "concord.", "concord.sign."
HOURS = 10
"""Afterwards one signs in again, however busy."""

HANDLE, RULE, OPERATE, REVEAL, AUDIT = "handle", "rule", "operate", "reveal", "audit"
MAY: dict[str, frozenset[str]] = {
    HANDLE: frozenset({STEWARD, ADMIN}),
    RULE: frozenset({STEWARD, ADMIN}),
    OPERATE: frozenset({OPERATOR, ADMIN}),
    REVEAL: frozenset({STEWARD, ADMIN}),
    AUDIT: frozenset({OPERATOR, STEWARD, ADMIN}),
}
"""Act -> the roles that may; looking needs any role."""


@dataclass(frozen=True, slots=True)
class Person:
    """`who` stands in every audit; `signs`: the roles in which they sign proposals."""

    who: str
    roles: frozenset[str]
    signs: tuple[str, ...] = ()

    def may(self, act: str) -> bool:
        """Whether one of their roles may."""
        return bool(MAY[act] & self.roles)


def person(who: str, groups: Iterable[str]) -> Person | None:
    """Somebody of these groups; None where none of them is a role here."""
    known = list(groups)
    roles = frozenset(r for r in ROLES if GROUP + r in known)
    if not roles or not who.strip():
        return None
    signs = [g.removeprefix(SIGNS) for g in known if g.startswith(SIGNS)]
    if roles & MAY[RULE] and DATA_STEWARD not in signs:
        signs.insert(0, DATA_STEWARD)
    return Person(who.strip(), roles, tuple(signs))


def sign_in(request: Request, found: Person) -> None:
    """From now on."""
    request.session.clear()  # what stood there before the login is nobody's
    request.session["person"] = {
        "who": found.who,
        "roles": sorted(found.roles),
        "signs": list(found.signs),
        "until": time.time() + HOURS * 3600,
    }


def sign_out(request: Request) -> None:
    """Forget them."""
    request.session.clear()


def person_of(request: Request) -> Person | None:
    """Who is signed in; a cookie that is forged, old or of another key is nobody's."""
    said: Any = request.session.get("person")
    try:
        if not said or said["until"] < time.time():
            return None
        roles = frozenset(said["roles"]) & frozenset(ROLES)
        return Person(said["who"], roles, tuple(said["signs"])) if roles else None
    except (KeyError, TypeError):
        return None


def tell(request: Request, text: str) -> None:
    """What the next page says once: an act was done."""
    request.session["told"] = text


def told(request: Request) -> str:
    """That, once."""
    return str(request.session.pop("told", ""))
