"""What every request passes: the right host, no post from elsewhere, a role; and what every answer carries.

An unsafe method counts only from a page of ours: the browser says so itself (Sec-Fetch-Site, Origin), and what says
nothing is refused. The content security policy allows files of ours and nothing inline, so that text which slipped
through escaping still runs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends
from starlette.requests import Request

from streams.console.session import Person, person_of
from streams.errors import ConcordError
from streams.settings import LOOPBACK

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
NO_STORE = {"Cache-Control": "no-store"}


class Refused(ConcordError):
    """The console does not do this for this request (403)."""


class SignedOut(ConcordError):
    """Nobody is signed in (401, or the way to the login)."""


def check(request: Request, url: str) -> None:
    """Refused where the request is for another host, or a post comes from another page than ours.

    url  where people reach the console; empty: on loopback, whatever the port
    """
    host = urlsplit(f"//{request.headers.get('host', '')}")
    ours = urlsplit(url) if url else None
    if host.hostname not in ((ours.hostname,) if ours else LOOPBACK):
        raise Refused("console.host", "this console is not reached under that name", "use its own address")
    if request.method in SAFE:
        return
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    own = f"{ours.scheme}://{ours.netloc}" if ours else f"http://{host.netloc}"
    if site not in (None, "same-origin") or origin not in (None, own) or (site is None and origin is None):
        step = "nothing was done; go to the console and do it there"
        raise Refused("console.cross_site", "this form was not sent from a page of the console", step)


def signed_in(request: Request) -> Person:
    """Who asks; SignedOut where nobody is signed in."""
    found = person_of(request)
    if found is None:
        raise SignedOut("console.signed_out", "nobody is signed in, or the session has ended", "sign in")
    return found


Somebody = Annotated[Person, Depends(signed_in)]


def may(act: str) -> Callable[[Request], Person]:
    """As a dependency: who asks, if they may."""

    def allowed(request: Request) -> Person:
        found = signed_in(request)
        if not found.may(act):
            roles = ", ".join(sorted(found.roles))
            step = "nothing was done; ask somebody whose role may, or for that role"
            raise Refused("console.role", f"your role ({roles}) may not do this", step)
        return found

    return allowed
