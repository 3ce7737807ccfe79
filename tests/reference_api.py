"""A system behind an API, to test against: what docs/systems-behind-an-api.md asks of one.

OAuth 2.0 client credentials, whole documents by PUT, idempotency keys, a revision guard, references it waits for, a
rate limit; as an owner, ETags and one field by PATCH; and faults on command. Loopback only; answers from memory.
"""

from __future__ import annotations

import json
import threading
import time
from base64 import b64decode
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from connectors.receipt import Receipt, Receipts
from connectors.rest.adapter import RestTarget
from connectors.rest.asking import AskingTarget
from connectors.rest.offsets import MemoryOffsets, Offsets
from connectors.run import REQUESTS
from streams.errors import Unavailable
from streams.settings import Api

CLIENT, SECRET = "concord", "not-a-real-secret"
NPI_LENGTH = 10
LIFE = 3600

Reply = tuple[int, dict[str, str], Any]


@dataclass(frozen=True)
class Seen:
    """One request as the server saw it; `credential` is never kept."""

    method: str
    path: str
    key: str
    status: int


@dataclass
class ReferenceApi:
    """The server's state and its faults; every method may be called while it runs."""

    port: int = 0
    secret: str = SECRET
    life: int = LIFE
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    writes: list[tuple[str, int]] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    tokens_given: int = 0
    per_second: int = 0
    tags: bool = True
    before_patch: Callable[[], None] | None = None
    """what somebody else does between our look at a document and our change of it"""
    _tokens: set[str] = field(default_factory=set)
    _answered: dict[str, tuple[bytes, Reply]] = field(default_factory=dict)
    _orders: deque[Reply] = field(default_factory=deque)
    _hold: threading.Event | None = None
    _down: bool = False
    _second: tuple[int, int] = (0, 0)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def token_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/token"

    def say(self, status: int, times: int = 1, body: Any = None, **headers: str) -> None:
        """The next PUTs are answered so, and nothing is written."""
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        self._orders.extend([(status, told, body or {})] * times)

    def stop_saying(self) -> None:
        self._orders.clear()

    @contextmanager
    def slow(self) -> Iterator[None]:
        """Within, a PUT is written but not answered: the client has to give up and ask again."""
        self._hold = threading.Event()
        try:
            yield
        finally:
            held, self._hold = self._hold, None
            held.set()

    @contextmanager
    def down(self) -> Iterator[None]:
        """Within, every connection is dropped without an answer."""
        self._down = True
        try:
            yield
        finally:
            self._down = False

    def expire_tokens(self) -> None:
        with self._lock:
            self._tokens.clear()

    def forget_keys(self) -> None:
        """An API keeps idempotency keys for a day or so."""
        with self._lock:
            self._answered.clear()

    def revisions(self) -> dict[str, int]:
        with self._lock:
            return {
                path.rpartition("/")[2]: document["revision"] for path, document in self.documents.items()
            }

    def puts(self) -> list[Seen]:
        return [seen for seen in list(self.seen) if seen.method == "PUT"]

    # what the handler asks, one request at a time

    def token(self, authorization: str, form: dict[str, list[str]]) -> Reply:
        basic = f"{CLIENT}:{self.secret}"
        given = b64decode(authorization.removeprefix("Basic ") or b"").decode()
        if given != basic or form.get("grant_type") != ["client_credentials"]:
            return 401, {}, {"error": "invalid_client", "error_description": f"wrong secret in {given}"}
        with self._lock:
            self.tokens_given += 1
            token = f"token-{self.tokens_given}"
            self._tokens.add(token)
        return 200, {}, {"access_token": token, "token_type": "Bearer", "expires_in": self.life}

    def admits(self, authorization: str) -> bool:
        return authorization.removeprefix("Bearer ") in self._tokens

    def put(self, path: str, key: str, body: bytes) -> Reply:
        with self._lock:
            if self._orders:
                return self._orders.popleft()
            if self._too_fast():
                return 429, {"Retry-After": "1"}, {"title": "too many requests"}
            if key in self._answered:
                return self._again(key, body)
            reply = self._write(path, json.loads(body))
            if reply[0] == 200:
                self._answered[key] = (body, reply)
            return reply

    def get(self, path: str) -> Reply:
        with self._lock:
            if path not in self.documents:
                return 404, {}, {}
            tag = {"ETag": self.tag(path)} if self.tags else {}
            return 200, tag, dict(self.documents[path])

    def tag(self, path: str) -> str:
        """Another one for every content."""
        text = json.dumps(self.documents[path], sort_keys=True)
        return f'"{sha256(text.encode()).hexdigest()[:16]}"'

    def patch(self, path: str, key: str, match: str, body: bytes) -> Reply:
        """JSON merge patch, only on the version it was made for, and once a key."""
        with self._lock:
            if self._orders:
                return self._orders.popleft()
            if self.before_patch is not None:
                self.before_patch()
            if key in self._answered:
                return self._again(key, body)
            if path not in self.documents:
                return 404, {}, {}
            if match != self.tag(path):
                return 412, {}, {"title": "it has changed"}
            self.documents[path] = {**self.documents[path], **json.loads(body)}
            self._answered[key] = (body, (200, {}, {}))
            return 200, {}, {}

    def _too_fast(self) -> bool:
        now = int(time.monotonic())
        second, count = self._second
        self._second = (now, count + 1 if second == now else 1)
        return bool(self.per_second) and self._second[1] > self.per_second

    def _again(self, key: str, body: bytes) -> Reply:
        first, (status, headers, told) = self._answered[key]
        if first != body:
            return 422, {}, {"title": "another document under a key that was used"}
        return status, {**headers, "Idempotent-Replayed": "true"}, told

    def _write(self, path: str, document: dict[str, Any]) -> Reply:
        held = self.documents.get(path, {}).get("revision", 0)
        if held >= document["revision"]:
            return 409, {}, {"title": "a newer one is here", "revision": held}
        if len(npi := document.get("npi") or "") > NPI_LENGTH:
            detail = f"npi {npi} of {document.get('last_name')} is too long"
            return 422, {}, {"title": "invalid", "detail": detail}
        if missing := self._missing(document):
            return 424, {}, {"title": "not here yet", "waits_for": missing}
        self.documents[path] = document
        self.writes.append((path, document["revision"]))
        return 200, {}, {"revision": document["revision"]}

    def _missing(self, document: dict[str, Any]) -> str | None:
        places = [] if document["status"] == "withdrawn" else document.get("listings") or []
        named = (f"location/{place['location_id']}" for place in places)
        return next((path for path in named if path not in self.documents), None)


@contextmanager
def reference_api() -> Iterator[ReferenceApi]:
    """A running one, on a free port."""
    api = ReferenceApi()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(api))
    server.daemon_threads = True
    api.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Noted:
    """Receipts in a list; may be told to fail."""

    def __init__(self) -> None:
        self.receipts: list[Receipt] = []
        self.down = False

    def write(self, receipts: Iterable[Receipt]) -> None:
        if self.down:
            raise Unavailable("receipt.unconfirmed", "down")
        self.receipts += receipts


def target_of(
    api: ReferenceApi,
    receipts: Receipts | None = None,
    offsets: Offsets | None = None,
    stop: threading.Event | None = None,
    system: str = "directory",
    **settings: Any,
) -> RestTarget:
    """An adapter's target in front of it, in this process: of a system that is sent views, or asked for changes."""
    told = {"url": api.url, "token_url": api.token_url, "client_id": CLIENT, "rate": 1000, "timeout_s": 5}
    secret = {} if "client_secret_file" in settings else {"client_secret": SECRET}
    known = Api.model_validate({**told, **secret, **settings})
    kind = AskingTarget if system in REQUESTS else RestTarget
    return kind(system, known, receipts or Noted(), offsets or MemoryOffsets(), stop or threading.Event())


def _handler(api: ReferenceApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def do_POST(self) -> None:
            body = self._body()
            self._unless_down(
                lambda: api.token(self.headers.get("Authorization", ""), parse_qs(body.decode()))
            )

        def do_PUT(self) -> None:
            body = self._body()
            self._unless_down(lambda: self._admitted(lambda: self._put(body)))

        def do_PATCH(self) -> None:
            body, named = self._body(), self.headers
            key, match = named.get("Idempotency-Key", ""), named.get("If-Match", "")
            self._unless_down(lambda: self._admitted(lambda: api.patch(self._document, key, match, body)))

        def do_GET(self) -> None:
            self._unless_down(lambda: self._admitted(lambda: api.get(self._document)))

        @property
        def _document(self) -> str:
            return self.path.removeprefix("/api/")

        def _put(self, body: bytes) -> Reply:
            reply = api.put(self._document, self.headers.get("Idempotency-Key", ""), body)
            if (hold := api._hold) is not None:
                hold.wait(30)
            return reply

        def _admitted(self, work: Callable[[], Reply]) -> Reply:
            return work() if api.admits(self.headers.get("Authorization", "")) else (401, {}, {})

        def _unless_down(self, work: Callable[[], Reply]) -> None:
            if api._down:
                self.close_connection = True
                return
            status, headers, told = work()
            api.seen.append(
                Seen(self.command, self._document, self.headers.get("Idempotency-Key", ""), status)
            )
            self._answer(status, headers, told)

        def _body(self) -> bytes:
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))

        def _answer(self, status: int, headers: dict[str, str], told: Any) -> None:
            data = json.dumps(told).encode()
            try:
                self.send_response(status)
                for name, value in {"Content-Type": "application/problem+json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
            except OSError:
                self.close_connection = True  # the client gave up waiting

        def log_message(self, format: str, *args: Any) -> None:
            """A passing test prints nothing."""

    return Handler
