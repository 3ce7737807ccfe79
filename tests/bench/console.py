"""Experiment w: how long the console's pages take with many providers and their findings.

    generator --Decide--> entities, finding records --copies under other ids--> Store, the worklist's Index
    PostgreSQL: proposals, audit, what targets hold          the real application over all of it --GET--> milliseconds a page

What the console reads is the real thing: encoded records through the index's own reader, entities from a worker's store by the
worker's own web server, the stewardship database. Kafka and a running worker are left out: no page waits for them.
"""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import psycopg

from streams import web
from streams.agents.address import Address
from streams.console import live, memory
from streams.console.port import Desk
from streams.core.change import Malformed
from streams.engine.producer import Output
from streams.engine.store import Batch, Store
from streams.operate import databases, preparing, sandbox
from streams.operate.announced import Answer, Party
from streams.operate.findings import decode
from streams.operate.quarantine.kept import Kept
from streams.operate.worklist.case import Handling, Progress, Wanted, number_of
from streams.operate.worklist.follower import BATCH
from streams.operate.worklist.index import Index
from streams.settings import Settings
from tests.bench import bed, known, load
from tests.bench.bed import Bed, Failed
from tests.bench.known import Known
from tests.bench.report import Folder, Result, quantiles
from tests.console import Somebody, signed_in

NAME = "w"
METHOD = """\
One process and PostgreSQL. Some thousand providers of the generator are taken in and decided, as in m; their entities and
findings, and copies of both under other ids, fill a worker's store and the console's index of findings (encoded
records, through the index's own reader; each finding stands with four times as many providers as it was found with, so that
there are about as many as providers). One finding in a hundred is assigned or deferred; one provider in a hundred has an open proposal,
each with its audit; one in a thousand a quarantined record; every target holds a row of applied views for each. The application is
the real one, asked as a browser asks it by a test client in the same process: signed in, session, guard, templates and all.
The worker's answers come from its own web server over that store. Each page is asked again and again, of other
providers where it is of one; nothing of a first answer is thrown away."""

FULL, QUICK = 1_000_000, 5_000
DECIDED = 10_000
"""Providers that are decided; the others are copies of them."""
SPREAD = 4
"""The generator's people have a finding for every four of them: each is given to three others, too."""
TIMES = 200
ID = 36
TARGETS = ("directory", "enrollment", "billing")
MOST_MS = 100.0

PROPOSALS = """
insert into proposal (kind, entity_id, system, record, row_id, field, value, position, author, state, level, approvers, owner)
select 'provider', id, 'directory', 'provider', id, 'degree', '"DO"', '1/2/' || n, 'directory', 'awaiting_approval_1', 'A1',
       '{data_steward}', 'credentialing' from unnest(%s::text[]) with ordinality as chosen (id, n)
"""
AUDITED = """
select count(audit_append('person ' || n %% 50, 'finding.assign', 'provider', n::text,
                          jsonb_build_object('reason', 'to look at it', 'act', n, 'phase', 'done')))
from generate_series(1, %s) n
"""
APPLIED = """
insert into concord_applied (kind, entity_id, local_id, revision, view_hash, applied_at)
select 'provider', gen_random_uuid()::text, n::text, 1, '', now() from generate_series(1, %s) n
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """One page, asked many times."""

    providers: int
    findings: int
    page: str
    times: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    kilobytes: float


@dataclass(frozen=True, slots=True)
class Told:
    """As the client of Kafka hands out a record."""

    output: Output
    number: int

    def topic(self) -> str:
        return self.output.topic

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self.number

    def key(self) -> bytes | None:
        return self.output.key

    def value(self) -> bytes | None:
        return self.output.value

    def headers(self) -> list[tuple[str, bytes]]:
        return [(n, v if isinstance(v, bytes) else str(v).encode()) for n, v in self.output.headers]

    def timestamp(self) -> tuple[int, int]:
        return 1, int(time.time() * 1e3)


class Hearing(known.Nowhere):
    """A producer that keeps what was said last of each finding."""

    def __init__(self) -> None:
        super().__init__()
        self.findings: dict[bytes, bytes] = {}

    def write(self, outputs: Sequence[Output]) -> int | None:
        for out in outputs:
            if out.topic == "finding" and out.key is not None and out.value is not None:
                self.findings[out.key] = out.value
        return super().write(outputs)


class Many:
    """So many providers: those that were decided, and copies of them."""

    def __init__(self, folder: Path, count: int) -> None:
        self.heard = Hearing()
        self._known = Known(folder, self.heard)
        self.store: Store = self._known.store
        self.count = count
        source = load.generated(min(count, DECIDED))
        while some := list(islice(source, known.BATCH)):
            self._known.take([p for p, _ in some], [each for _, references in some for each in references])
        self.ids = [key.decode().partition("/")[2] for key in self._providers()]
        if len(self.ids) < min(count, DECIDED):
            raise Failed(f"{len(self.ids):,} providers were decided")
        self.copies = -(-count // len(self.ids))
        self._copied()

    def _providers(self) -> Iterator[bytes]:
        return (key for key in self.store.entity_keys() if key.startswith(b"provider/"))

    def _copied(self) -> None:
        """Each entity under other ids, as it is stored."""
        stored = {who: self.store.get(f"provider/{who}".encode()) or b"" for who in self.ids}
        for some in batched(self._others(), 1_000):
            batch = Batch()
            for copy, who in some:
                other = renamed(who, copy)
                value = stored[who].replace(who.encode(), other.encode())
                batch.put_entity(f"provider/{other}".encode(), value, dirty=False)
            self.store.apply(batch)

    def _others(self) -> Iterator[tuple[int, str]]:
        places = ((copy, who) for copy in range(1, self.copies) for who in self.ids)
        return islice(places, self.count - len(self.ids))

    def findings(self) -> Iterator[tuple[bytes, bytes]]:
        """Every finding that is open, encoded: those of providers once for each copy."""
        for key, value in self.heard.findings.items():
            if decode(value)["state"] == "closed":
                continue
            yield key, value
            kind, _, rest = key.partition(b"/")
            if kind == b"provider":
                who = rest[:ID]
                for other in self._sharing(who.decode()):
                    yield key.replace(who, other), value.replace(who, other)

    def _sharing(self, who: str) -> Iterator[bytes]:
        """Who has the same finding: of each copy so many."""
        at = self.ids.index(who)
        for copy in range(self.copies):
            for n in range(SPREAD):
                if copy or n:
                    yield renamed(self.ids[(at + n * 2_503) % len(self.ids)], copy).encode()

    def some(self, times: int) -> list[str]:
        """Providers from everywhere among them."""
        return [
            renamed(self.ids[n * 7919 % len(self.ids)], n % max(1, self.copies - 1)) for n in range(times)
        ]

    def close(self) -> None:
        self.store.close()


T = TypeVar("T")


def batched(source: Iterable[T], size: int) -> Iterator[list[T]]:
    left = iter(source)
    while some := list(islice(left, size)):
        yield some


def renamed(who: str, copy: int) -> str:
    """The id of a copy; of the same length, so that it can stand in encoded bytes."""
    return f"{copy:08x}{who[8:]}" if copy else who


# ---- what the console reads ----


def indexed(many: Many) -> tuple[Index, float]:
    """The worklist, and how many seconds reading took."""
    index, began, read = Index(), time.monotonic(), 0
    for some in batched(many.findings(), BATCH):
        index.take(some)
        read += len(some)
    index.settle()
    seconds = time.monotonic() - began
    index.hear(words(some[0] for some in islice(many.findings(), 0, None, 100)))
    index.progress = Progress(read, read, True, "", time.time())
    return index, seconds


def words(keys: Iterable[bytes]) -> Iterator[tuple[bytes, Handling]]:
    """Assigned to one of fifty people, every other one deferred as well."""
    later = (date.today() + timedelta(days=7)).isoformat()
    for n, key in enumerate(keys, 1):
        yield key, Handling(n, f"person {n % 50}", later if n % 2 else "", "pat", "to look at it", "")


def quarantined(settings: Settings, count: int) -> Kept:
    """Records that could not be read, as decide writes them."""
    kept, address = Kept(settings), Address(0, sandbox.context(cast(Any, None)))
    reason = Malformed("change.undecodable", "not JSON")
    broken = (
        SimpleNamespace(
            topic="cdc.credentialing", partition=0, offset=n, key=str(n).encode(), value=b"{", headers=[]
        )
        for n in range(count)
    )
    told = (Told(address.quarantined(record, reason), n) for n, record in enumerate(broken))
    kept.fold(cast(Any, told), patience=600.0)
    return kept


@contextmanager
def worker(store: Store) -> Iterator[list[Answer]]:
    """A worker's web server over a store, on a thread of its own."""
    loop = asyncio.new_event_loop()

    async def nothing() -> Any:
        return {}

    thread = threading.Thread(target=loop.run_forever, name="worker-web", daemon=True)
    thread.start()
    serving = web.serve(
        0, lambda kind, name: store.get(f"{kind}/{name}".encode()), len, nothing, str, len, list
    )
    runner, port = asyncio.run_coroutine_threadsafe(serving, loop).result(30)
    try:
        party = Party("worker/bench", f"http://{web.HOST}:{port}", os.getpid())
        yield [
            Answer(party, {"pid": party.pid, "partitions": [{"partition": 0, "as_of": f"{date.today()}"}]})
        ]
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


def filled(settings: Settings, many: Many) -> None:
    """Proposals with their audit, more audit, and what the targets hold."""
    proposed = [renamed(who, 0) for who in many.ids] * -(-many.count // len(many.ids) // 100)
    with psycopg.connect(settings.databases["stewardship"], autocommit=True) as connection:
        connection.execute(PROPOSALS, [proposed[: max(1, many.count // 100)]])
        connection.execute(AUDITED, [many.count // 10])
        connection.execute("analyze")
    for system in TARGETS:
        with psycopg.connect(settings.databases[system], autocommit=True) as connection:
            connection.execute(APPLIED, [many.count])
            connection.execute("analyze")


def desk(settings: Settings, index: Index, kept: Kept, workers: list[Answer]) -> Desk:
    """The console's own ports."""
    seen = cast(live.Watching, SimpleNamespace(workers=workers))
    return Desk(
        memory.Freshness(), live.Worklist(settings, index), live.Providers(settings, seen), live.Quarantine(settings, kept),
        live.Proposals(settings), live.Audit(settings),
    )  # fmt: skip


# ---- asking ----


def pages(many: Many, index: Index) -> Mapping[str, Callable[[int], str]]:
    """Page -> its n-th address."""
    sums = index.sums(date.today())
    often, seldom = next(iter(sums.by_code)), list(sums.by_code)[-1]
    actor = next(iter(sums.by_actor))
    who = many.some(TIMES)
    cases = [f"{number_of(key):x}" for key, _ in islice(many.findings(), 0, None, 97)][:TIMES]
    far, page = "", None
    for _ in range(200):
        page = index.page(Wanted(after=far), date.today())
        far = page.next or far
    fixed = {
        "overview": "/",
        "findings": "/findings",
        "findings, page 200": f"/findings?after={far}",
        "findings of high severity": "/findings?severity=high",
        f"findings {often}, the most frequent": f"/findings?code={often}",
        f"findings {seldom}, the rarest": f"/findings?code={seldom}",
        f"findings {seldom}, low, unassigned": f"/findings?code={seldom}&severity=low&whose=unassigned",
        "findings of one who should act": f"/findings?actor={actor}",
        "findings of who should act, high, within a week": f"/findings?actor={actor}&severity=high&due=week",
        "findings overdue": "/findings?due=overdue",
        "findings unassigned": "/findings?whose=unassigned",
        "findings deferred": "/findings?whose=deferred",
        "quarantine": "/quarantine",
        "quarantine of one code, all states": "/quarantine?code=change.undecodable&state=all",
        "proposals, open": "/proposals",
        "proposals, all": "/proposals?everything=true",
        "audit": "/audit",
        "audit of one person": "/audit?who=person+7",
        "audit of nobody": "/audit?who=nobody",
    }
    found: dict[str, Callable[[int], str]] = {
        name: lambda n, path=path: path  # type: ignore[misc]
        for name, path in fixed.items()
    }
    return {
        **found,
        "findings of one provider": lambda n: f"/findings?entity=provider/{who[n]}",
        "findings that are mine": lambda n: "/findings?whose=mine",
        "one finding, systems side by side": lambda n: f"/findings/{cases[n % len(cases)]}",
        "one provider": lambda n: f"/providers/provider/{who[n]}",
        "search for a provider": lambda n: f"/providers?key={who[n]}",
        "one proposal": lambda n: f"/proposals/{n % max(1, many.count // 100) + 1}",
    }


def asked(client: Somebody, name: str, path: Callable[[int], str], many: Many, findings: int) -> Asked:
    """How long one page took, again and again."""
    took, size = [], 0
    for n in range(TIMES):
        began = time.perf_counter()
        answer = client.client.get(path(n), follow_redirects=False)
        took.append((time.perf_counter() - began) * 1e3)
        if answer.status_code not in (200, 303):
            raise Failed(f"{path(n)}: {answer.status_code} {answer.text[-500:]}")
        size = max(size, len(answer.content))
    q = quantiles(took)
    return Asked(
        many.count, findings, name, TIMES, q["p50"], q["p95"], q["p99"], q["max"], round(size / 1e3, 1)
    )


def measure(bench: Bed, folder: Folder, *, quick: bool, profile: bool) -> Result:
    """Run the experiment."""
    count = int(os.environ.get("CONCORD_BENCH_PROVIDERS", QUICK if quick else FULL))
    place = folder.path.resolve() / "w-store"
    with ExitStack() as undo:
        undo.callback(shutil.rmtree, place, ignore_errors=True)
        settings = _settings(bench, undo)
        many = Many(place, count)
        undo.callback(many.close)
        bench.say(f"{NAME}  {count:,} providers are stored")
        index, seconds = indexed(many)
        undo.callback(index.close)
        total = index.sums(date.today()).total
        bench.say(f"{NAME}  {total:,} findings are indexed after {seconds:.0f} s")
        filled(settings, many)
        kept = quarantined(settings, max(1, count // 1_000))
        undo.callback(kept.close)
        databases.keep()  # as `concord console` does
        undo.callback(databases.let_go)
        workers = undo.enter_context(worker(many.store))
        client = undo.enter_context(signed_in(desk(settings, index, kept, workers), "admin", who="person 7"))
        gc.collect()
        gc.freeze()  # what fills the store is the bench's doing: the collector shall not walk it
        undo.callback(gc.unfreeze)
        found = []
        for name, path in pages(many, index).items():
            found.append(asked(client, name, path, many, total))
            bench.say(f"{NAME}  {found[-1].p50_ms:7.1f} {found[-1].p99_ms:7.1f} ms  {name}")
    folder.csv("w-pages", found)
    return report(found, seconds)


def _settings(bench: Bed, undo: ExitStack) -> Settings:
    """Databases of its own, and nobody at Kafka."""
    stack = bed.databases_of(
        bench.need("postgres"), f"bench{NAME}{time.time_ns() // 1_000_000_000 % 1_000_000}.", undo
    )
    name = stack.databases["stewardship"].rpartition("/")[2]
    here = replace(
        stack,
        steward=f"{stack.steward.rpartition('/')[0]}/{name}",
        audit=f"{stack.audit.rpartition('/')[0]}/{name}",
    )
    dsns = {"_databases": here.databases, "_adapters": here.adapters, "_capture": here.capture}
    settings = Settings(
        kafka="127.0.0.1:1", partitions=1, steward=here.steward, audit=here.audit, **cast(Any, dsns)
    )
    preparing.apply_systems(settings)
    return settings


def report(found: Sequence[Asked], seconds: float) -> Result:
    """p50 and p99 of each page."""
    result = Result(NAME, METHOD)
    for each in found:
        result.add(f"{each.page}: p50", each.p50_ms, "ms")
        result.add(f"{each.page}: p99", each.p99_ms, "ms", most=MOST_MS)
    slowest = max(found, key=lambda each: each.p99_ms)
    result.add("reading the findings at the start", seconds, "s")
    result.notes.append(
        f"{found[0].providers:,} providers, {found[0].findings:,} open findings, {TIMES} times each page"
    )
    result.notes.append(
        f"slowest: {slowest.page}, p99 {slowest.p99_ms:.0f} ms, at worst {slowest.max_ms:.0f} ms"
    )
    over = Counter(each.p99_ms > MOST_MS for each in found)[True]
    result.notes.append(f"{over} of {len(found)} pages are over {MOST_MS:.0f} ms")
    return result
