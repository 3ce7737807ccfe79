"""Signing in: OpenID Connect, or without a provider a development login that exists on loopback only.

    /login --> identity provider --> /login/back --Person--> session

Asks the provider for who it is and their groups, keeps neither its tokens nor a password.
"""

from __future__ import annotations

from typing import Annotated, Any

from authlib.integrations.base_client import OAuthError  # type: ignore[import-untyped]
from authlib.integrations.starlette_client import OAuth  # type: ignore[import-untyped]
from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from streams.console import render
from streams.console.guard import SignedOut
from streams.console.session import GROUP, ROLES, SIGNS, person, sign_in, sign_out
from streams.core.ruling import COMPLIANCE, OTHERWISE
from streams.errors import EnvironmentFault
from streams.settings import Settings

SIGNING = ("data_steward", *OTHERWISE, COMPLIANCE, "directory_manager", "enrollment_lead", "billing_lead")
"""Roles that the development login can sign in."""


def development() -> APIRouter:
    """Whoever sits at this machine says who they are; the guard answers on loopback only."""
    router = APIRouter()

    @router.get("/login")
    def ask(request: Request) -> Response:
        return render.page(request, "login.html", roles=ROLES, signing=SIGNING, provider=False, why="")

    @router.post("/login")
    def take(
        request: Request,
        who: Annotated[str, Form(max_length=80)],
        role: Annotated[str, Form()] = "",
        signs: Annotated[str, Form()] = "",
    ) -> Response:
        found = person(who, [GROUP + role, *([SIGNS + signs] if signs in SIGNING else [])])
        if found is None:
            why = "Say who you are and choose a role."
            return render.page(
                request, "login.html", 422, roles=ROLES, signing=SIGNING, provider=False, why=why
            )
        sign_in(request, found)
        return RedirectResponse("/", 303)

    _logout(router)
    return router


def provider(settings: Settings) -> APIRouter:
    """Through the identity provider of the settings."""
    router = APIRouter()
    client = _client(settings)

    @router.get("/login")
    def ask(request: Request) -> Response:
        return render.page(request, "login.html", roles=(), signing=(), provider=True, why="")

    @router.get("/login/go")
    async def go(request: Request) -> Response:
        try:
            going: Response = await client.authorize_redirect(request, f"{settings.console_url}/login/back")
            return going
        except (OAuthError, OSError, RuntimeError, ValueError) as fault:
            raise _unanswered(fault) from None

    @router.get("/login/back")
    async def back(request: Request) -> Response:
        try:
            token = await client.authorize_access_token(request)
        except OAuthError as fault:  # a forged or repeated answer, or the provider said no
            message = f"the identity provider's answer does not count: {fault.error}"
            raise SignedOut("console.login", message, "sign in again") from None
        except (OSError, RuntimeError, ValueError) as fault:
            raise _unanswered(fault) from None
        _take(request, token.get("userinfo") or {}, settings.oidc_groups)
        return RedirectResponse("/", 303)

    _logout(router)
    return router


def _take(request: Request, claims: Any, groups: str) -> None:
    who = str(claims.get("email") or claims.get("preferred_username") or claims.get("sub") or "")
    found = person(who, [str(group) for group in claims.get(groups) or ()])
    if found is None:
        step = f"ask for a group such as {GROUP}viewer; the claim read is {groups!r}"
        raise SignedOut("console.no_role", "you are known, but have no role in this console", step)
    sign_in(request, found)


def _client(settings: Settings) -> Any:
    oauth = OAuth()
    oauth.register(
        "console",
        client_id=settings.oidc_client_id,
        client_secret=settings.oidc_client_secret.get_secret_value(),
        server_metadata_url=f"{settings.oidc_issuer.rstrip('/')}/.well-known/openid-configuration",
        client_kwargs={"scope": settings.oidc_scope, "code_challenge_method": "S256", "timeout": 10},
    )
    return oauth.console


def _unanswered(fault: Exception) -> EnvironmentFault:
    message = f"the identity provider does not answer ({type(fault).__name__})"
    return EnvironmentFault("console.provider", message, "try again; check CONCORD_OIDC_ISSUER")


def _logout(router: APIRouter) -> None:
    @router.post("/logout")
    def logout(request: Request) -> Response:
        sign_out(request)
        return RedirectResponse("/login", 303)
