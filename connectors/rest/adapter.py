"""A system behind an API as a target: one request a view, a receipt for each, offsets last.

    Batch --guard--> requests, a few at a time --> answers --> receipts confirmed --> offsets

Implements connectors.sink.Target for any API of docs/systems-behind-an-api.md. An API has no transaction, so each view
is settled for itself: one that is refused ends as Failed, is receipted, and never raises Refused. What a batch has
settled is remembered until its offsets are stored: a fault in its middle sends only the rest again.
Views that wait for a reference are kept in memory only, and so the offset stays before the oldest of them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import groupby

import httpx

from connectors.receipt import Receipt, Receipts, confirmed, refused
from connectors.rest.answer import DOWN, SCHEMA, Answer, Settled, meaning
from connectors.rest.credentials import Credentials
from connectors.rest.offsets import Offsets
from connectors.rest.pace import Pace
from connectors.rest.request import build
from connectors.sink import Batch, Deferred, Failed, Outcome, Partition, Superseded, View
from connectors.stop import Stopped
from streams.errors import ConcordError, EnvironmentFault, Unavailable
from streams.settings import Api
from streams.trust import trusted

Version = tuple[str, str, int]


class RestTarget:
    """See connectors.sink.Target for the contract; at most one request an entity is under way at any time."""

    def __init__(
        self, system: str, api: Api, receipts: Receipts, offsets: Offsets, stop: threading.Event
    ) -> None:
        self._system = system
        self._api = api
        self._receipts = receipts
        self._offsets = offsets
        self._stop = stop
        self._pace = Pace(api.rate)
        self._client: httpx.Client | None = None
        self._settled: dict[Version, Settled] = {}
        self._waiting: dict[tuple[str, str], tuple[View, str]] = {}
        self._reached: dict[Partition, int] = {}
        self._suspect: View | None = None
        self._fault: ConcordError | None = None

    def apply(self, batch: Batch) -> list[Outcome]:
        self._send(batch.views)
        settled = [(view, self._settled[_version(view)]) for view in batch.views]
        self._receipts.write(self._told(settled))
        for view, found in settled:
            self._wait_or_not(view, found.outcome)
        self._discard(batch.discard)
        self._store(batch.offsets)
        self._settled.clear()
        return [found.outcome for _, found in settled]

    def release(self) -> list[View]:
        """The API says by a GET whether what it asked for is there."""
        there = {path for path in {path for _, path in self._waiting.values()} if self._is_there(path)}
        free = [view for view, path in self._waiting.values() if path in there]
        return sorted(free, key=lambda view: view.identity)[:1000]

    def offsets(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """After a fault the view that met it goes first: nothing is read on while it still does.

        Everything not stored is read again from here, also what waits.
        """
        if self._suspect is not None:
            self._send([self._suspect])
        self._waiting.clear()
        self._reached.clear()
        return self._offsets.load(partitions)

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _send(self, views: Sequence[View]) -> None:
        """References first, each kind to its end; after a system fault nothing more goes out."""
        self._fault = None
        self._connected()  # before there are threads: one client, one token
        with ThreadPoolExecutor(self._api.concurrency) as pool:
            for _, same in groupby(views, lambda view: view.kind):
                for sent in [pool.submit(self._one, view) for view in same]:
                    sent.result()
        if self._fault is not None:
            raise self._fault
        self._suspect = None

    def _one(self, view: View) -> None:
        if self._fault is not None or _version(view) in self._settled:
            return
        try:
            self._settled[_version(view)] = self._settle(view)
        except ConcordError as fault:
            self._suspect, self._fault = view, self._fault or fault

    def _settle(self, view: View) -> Settled:
        waiting = self._waiting.get(view.identity)
        if waiting is not None and view.revision < waiting[0].revision:
            return Settled(Superseded())
        request = build(view)
        answer = self._ask("PUT", request.path, request.headers, request.body)
        return meaning(self._system, view, answer, datetime.now(UTC))

    def _is_there(self, path: str) -> bool:
        return self._ask("GET", path).status == httpx.codes.OK

    def _ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        if self._stop.wait(self._pace.wait(time.monotonic())):
            raise Stopped
        try:
            found = self._connected().request(method, path, headers=headers, content=body)
        except httpx.HTTPError as fault:
            raise _broken(self._system, fault) from None  # its own text may quote the request
        return Answer(found.status_code, found.headers, found.content)

    def _connected(self) -> httpx.Client:
        if self._client is None:
            address = self._api.url.rstrip("/") + "/"
            auth, timeout = Credentials(self._system, self._api), httpx.Timeout(self._api.timeout_s)
            self._client = httpx.Client(base_url=address, auth=auth, timeout=timeout, verify=trusted())
        return self._client

    def _told(self, settled: Iterable[tuple[View, Settled]]) -> Iterable[Receipt]:
        for view, found in settled:
            if isinstance(found.outcome, Failed):
                yield refused(self._system, view, found.outcome)
            elif found.confirmed:
                yield confirmed(self._system, view)

    def _wait_or_not(self, view: View, outcome: Outcome) -> None:
        if isinstance(outcome, Deferred):
            self._waiting[view.identity] = (view, outcome.waits_for)
        else:
            self._discard([view])

    def _discard(self, views: Iterable[View]) -> None:
        for view in views:
            waiting = self._waiting.get(view.identity)
            if waiting is not None and waiting[0].revision <= view.revision:
                del self._waiting[view.identity]

    def _store(self, offsets: Mapping[Partition, int]) -> None:
        """Invariant 2: never past a view that still waits."""
        self._reached |= {p: max(offset, self._reached.get(p, 0)) for p, offset in offsets.items()}
        oldest: dict[tuple[str, int], int] = {}
        for view, _ in self._waiting.values():
            place = (view.topic, view.partition)
            oldest[place] = min(view.offset, oldest.get(place, view.offset))
        self._offsets.store({p: min(o, oldest.get(p[:2], o)) for p, o in self._reached.items()})


def _version(view: View) -> Version:
    return (*view.identity, view.revision)


def _broken(system: str, fault: httpx.HTTPError) -> ConcordError:
    """A timeout says nothing of whether the view was applied; the same key asks again."""
    text = f"{system}: {type(fault).__name__}"
    if "CERTIFICATE_VERIFY_FAILED" in str(fault):
        return EnvironmentFault(
            SCHEMA, f"{text}: the certificate is not trusted", "trust the API's authority"
        )
    return Unavailable(DOWN, text, "the adapter retries by itself; check that the API answers")
