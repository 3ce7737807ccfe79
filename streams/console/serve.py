"""`concord console`: the application on a port, until it is told to stop.

Listens on loopback. For people elsewhere a reverse proxy with TLS stands in front (CONCORD_CONSOLE_URL) and an identity
provider says who they are: without one there is the development login, which is refused for any other address.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from urllib.parse import urlsplit

import structlog
import uvicorn

from streams.console import app, memory
from streams.console.live import Live
from streams.console.port import Desk
from streams.errors import EnvironmentFault, InvalidInput
from streams.settings import LOOPBACK, Settings, need

GRACE = 2
"""Seconds: open pages are told news for ever, so the end doesn't wait for them."""
log = structlog.get_logger("concord.console")


def run(settings: Settings, host: str, port: int) -> None:
    """The platform's console, until SIGTERM or SIGINT."""
    check(settings, host)
    need(settings.kafka, "CONCORD_KAFKA")
    live = Live(settings)
    live.start()
    try:
        _serve(live.desk, settings, host, port)
    finally:
        live.close()


def sample(settings: Settings, host: str, port: int) -> None:
    """The same over a few invented providers, and always with the development login."""
    plain = settings.model_copy(update={"oidc_issuer": "", "console_url": ""})
    check(plain, host)
    _serve(memory.desk(), plain, host, port)


def check(settings: Settings, host: str) -> None:
    """Who may be asked in from where, before anything listens."""
    if settings.oidc_issuer:
        _provider(settings)
    elif host not in LOOPBACK or settings.console_url:
        message = "the development login believes what anybody says, so it is never reached from elsewhere"
        step = "name an identity provider (CONCORD_OIDC_ISSUER), or listen on 127.0.0.1 without CONCORD_CONSOLE_URL"
        raise EnvironmentFault("console.login", message, step)


def _provider(settings: Settings) -> None:
    for value, name in (
        (settings.oidc_client_id, "CONCORD_OIDC_CLIENT_ID"),
        (settings.oidc_client_secret.get_secret_value(), "CONCORD_OIDC_CLIENT_SECRET"),
        (settings.console_url, "CONCORD_CONSOLE_URL"),
    ):
        need(value, name)
    for url, name in (
        (settings.oidc_issuer, "CONCORD_OIDC_ISSUER"),
        (settings.console_url, "CONCORD_CONSOLE_URL"),
    ):
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
            raise InvalidInput("console.address", f"{name} is neither https nor on loopback", "correct it")


def _serve(desk: Desk, settings: Settings, host: str, port: int) -> None:
    listening = listen(host, port)
    where = settings.console_url or f"http://{host}:{listening.getsockname()[1]}"
    log.info("console.serves", url=where)
    made: Callable[..., object] = app.create(desk, settings)
    config = uvicorn.Config(
        made, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=GRACE
    )
    uvicorn.Server(config).run(sockets=[listening])


def listen(host: str, port: int) -> socket.socket:
    """The port, or EnvironmentFault when somebody has it."""
    try:
        return socket.create_server((host, port))
    except OSError as fault:
        message = f"port {port} of {host} can't be had: {fault.strerror}"
        step = "stop who has it, or choose another: --port, CONCORD_CONSOLE_PORT"
        raise EnvironmentFault("console.port_taken", message, step) from None
