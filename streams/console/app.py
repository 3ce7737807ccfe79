"""The console put together: guard, session, pages, errors.

    request --guard.check--> session --> a page's router --Desk--> response with the guard's headers

A factory, so that tests and the sample run the same application over ports in memory.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable

import structlog
from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from streams.console import audit, findings, guard, login, overview, proposals, providers, quarantine, render
from streams.console.guard import Refused, SignedOut
from streams.console.port import Desk
from streams.console.session import HOURS
from streams.errors import ConcordError, InvalidInput, Unavailable
from streams.operate.find import Unknown
from streams.operate.quarantine.ask import NotThere
from streams.operate.worklist.handling import Stale
from streams.settings import Settings

PAGES = (overview, findings, providers, proposals, quarantine, audit)
CHANGED = frozenset(
    {"proposal.changed", "proposal.closed", "proposal.approved", "proposal.signed_twice", "finding.changed"}
)
"""Somebody was first (409)."""
log = structlog.get_logger("concord.console")
Next = Callable[[Request], Awaitable[Response]]


def create(desk: Desk, settings: Settings) -> FastAPI:
    """The application. Without an identity provider in the settings it has the development login."""
    app = FastAPI(title="Concord", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.desk = desk
    key = settings.console_key.get_secret_value() or secrets.token_hex(32)
    secure = settings.console_url.startswith("https:")

    @app.middleware("http")
    async def guarded(request: Request, call_next: Next) -> Response:
        try:
            guard.check(request, settings.console_url)
        except Refused as fault:
            return _headed(_error(request, fault))
        return _headed(await call_next(request))

    app.add_middleware(  # outermost: a refusal is a page too, and pages ask who is signed in
        SessionMiddleware,
        secret_key=key,
        session_cookie="__Host-concord" if secure else "concord",
        max_age=HOURS * 3600,
        same_site="lax",
        https_only=secure,
    )
    for router in (*(each.router() for each in PAGES), _login(settings)):
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=render.FOLDER / "static"), name="static")
    _errors(app)
    return app


def _login(settings: Settings) -> APIRouter:
    return login.provider(settings) if settings.oidc_issuer else login.development()


def _headed(response: Response) -> Response:
    response.headers.update(guard.HEADERS)
    return response


# ---- errors are pages ----


def _errors(app: FastAPI) -> None:
    @app.exception_handler(ConcordError)
    def known(request: Request, fault: ConcordError) -> Response:
        if isinstance(fault, SignedOut) and request.method == "GET" and fault.code == "console.signed_out":
            return RedirectResponse("/login", 303)
        return _error(request, fault)

    @app.exception_handler(RequestValidationError)
    def incomplete(request: Request, fault: RequestValidationError) -> Response:
        places = ", ".join(sorted({str(error["loc"][-1]) for error in fault.errors()}))  # never what was sent
        return _error(
            request,
            InvalidInput("console.form", f"this is missing or wrong: {places}", "go back and correct it"),
        )

    @app.exception_handler(HTTPException)
    def unknown(request: Request, fault: HTTPException) -> Response:
        found = {404: "there is no such page", 405: "this page takes no such request"}
        what = found.get(fault.status_code, "this can't be answered")
        return _error(request, ConcordError("console.page", what, "go to the overview"), fault.status_code)

    @app.exception_handler(Exception)
    def broken(request: Request, fault: Exception) -> Response:
        number = secrets.token_hex(4)  # a page says which line of the log it is, the log says what happened
        log.error(
            "console.broken", number=number, path=request.url.path, error=type(fault).__name__, exc_info=fault
        )
        text = f"something broke here; the log has it under {number}"
        return _headed(
            _error(request, ConcordError("console.broken", text, "try again, then tell an operator"))
        )


def _error(request: Request, fault: ConcordError, status: int | None = None) -> Response:
    code = status or status_of(fault)
    posted = request.method not in guard.SAFE
    return render.page(
        request, "error.html", code, fault=fault, status=code, posted=posted, back=_back(request)
    )


def status_of(fault: ConcordError) -> int:
    """An error as HTTP has it."""
    for kind, status in ((SignedOut, 401), (Refused, 403), (Stale, 409), (Unknown, 404), (NotThere, 404)):
        if isinstance(fault, kind):
            return status
    if fault.code in CHANGED:
        return 409
    if fault.code == "console.broken":
        return 500
    return 503 if isinstance(fault, Unavailable) or fault.exit_code == 3 else 422


def _back(request: Request) -> str:
    """The page that a post was sent from: of our own only."""
    return f"/{request.url.path.strip('/').split('/')[0]}" if request.url.path.count("/") else "/"
