"""OAuth 2.0 client credentials (RFC 6749, 4.4): a token is asked for, kept, renewed ahead of its end, and on a 401.

    request --Credentials--> token endpoint, when there is no token --> request with a bearer token

The secret is read from its file each time a token is asked for, so a renewed one is used without a restart. Neither
secret nor token ever stands in a message, a log or an error.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from urllib.parse import quote_plus

import httpx

from connectors.rest.answer import BUSY, CREDENTIALS, RECHECK, refused_credentials, retry_after
from streams.errors import ConcordError, EnvironmentFault, Unavailable
from streams.settings import Api

UNAUTHORIZED = 401
AHEAD = 0.9  # of a token's life; the rest is for requests under way
UNSTATED = 300.0  # seconds a token is used when the endpoint doesn't say

Flow = Generator[httpx.Request, httpx.Response, str]


class Credentials(httpx.Auth):
    """One token for all threads of a process."""

    requires_response_body = True

    def __init__(self, system: str, api: Api, clock: Callable[[], float] = time.monotonic) -> None:
        self._system = system
        self._api = api
        self._clock = clock
        self._token = ""
        self._until = 0.0
        self._lock = threading.Lock()

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        token = yield from self._current()
        answer = yield _bearing(request, token)
        if answer.status_code == UNAUTHORIZED:
            self._forget(token)
            answer = yield _bearing(request, (token := (yield from self._current())))
            if answer.status_code == UNAUTHORIZED:
                self._forget(token)

    def _current(self) -> Flow:
        """The lock is held while the endpoint is asked: the other threads need the same token."""
        with self._lock:
            if not self._token or self._clock() >= self._until:
                answer = yield self._asking()
                self._keep(answer)
            return self._token

    def _forget(self, token: str) -> None:
        with self._lock:
            self._token = "" if self._token == token else self._token

    def _asking(self) -> httpx.Request:
        form = {"grant_type": "client_credentials"}
        form |= {"scope": self._api.scope} if self._api.scope else {}
        basic = httpx.BasicAuth(quote_plus(self._api.client_id), quote_plus(self._secret()))
        request = httpx.Request(
            "POST", self._api.token_url, data=form, headers={"Accept": "application/json"}
        )
        request.extensions["timeout"] = httpx.Timeout(self._api.timeout_s).as_dict()
        return next(basic.auth_flow(request))

    def _secret(self) -> str:
        try:
            return self._api.secret()
        except OSError as fault:
            message = f"{self._system}: the client's secret can't be read: {fault.strerror}"
            step = "check the file CONCORD_ADAPTER_<SYSTEM>_CLIENT_SECRET_FILE names"
            raise EnvironmentFault(CREDENTIALS, message, step, RECHECK) from None

    def _keep(self, answer: httpx.Response) -> None:
        if answer.status_code != httpx.codes.OK:
            raise self._refusal(answer)
        try:
            told = answer.json()
            token, life = str(told["access_token"]), float(told.get("expires_in") or UNSTATED)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise refused_credentials(f"{self._system}: the token endpoint answers without a token") from None
        self._token, self._until = token, self._clock() + AHEAD * life

    def _refusal(self, answer: httpx.Response) -> ConcordError:
        status = answer.status_code
        if status in (408, 425, 429) or status >= 500:
            wait = retry_after(answer.headers, datetime.now(UTC))
            message = f"{self._system}: the token endpoint answers HTTP {status}"
            return Unavailable(BUSY, message, "the adapter retries by itself", wait)
        return refused_credentials(
            f"{self._system}: the token endpoint refuses the client: {_reason(answer)} (HTTP {status})"
        )


def _bearing(request: httpx.Request, token: str) -> httpx.Request:
    request.headers["Authorization"] = f"Bearer {token}"
    return request


def _reason(answer: httpx.Response) -> str:
    """The error code of RFC 6749, 5.2; never its description, which may quote what was sent."""
    try:
        reason = str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        return "no reason given"
    return reason if re.fullmatch(r"[a-z_]{1,40}", reason) else "no reason given"
