"""Load on the master: random small transactions as the credentialing system's users would write them.

Every transaction marks the providers it touches (marks.py), its statements in random order. Tables and columns are
the real ones; only this thread and `big` write.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from random import Random
from typing import Any, TypeAlias

import psycopg

from connectors.credentialing import story
from connectors.credentialing.load import load_generated
from streams.errors import EnvironmentFault
from tests.faults import marks
from tests.faults.ledger import Ledger, Outcome

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]
Tokens: TypeAlias = list[tuple[str, int]]

PROVIDERS = 60
SEED = 4711
PACE = 0.03
MOST_HIRED = 40

LOCK = "select status from provider where provider_id = any(%(who)s::uuid[]) order by provider_id for update"
# Whose views show all four marks: a valid NPI, one primary taxonomy that names a licence.
MARKABLE = """
select p.provider_id::text from provider p join taxonomy t using (provider_id)
where t.is_primary and t.license_id is not null and p.status = 'active' and p.npi ~ '^[0-9]{10}$'
group by 1 having count(*) = 1 order by 1
"""
# Those who left count too: they may come back.
EVERYBODY = MARKABLE.replace("p.status = 'active'", "p.status in ('active', 'terminated')")
LOCATIONS = "select location_id::text from practice_location order by 1"
MOVE = """
update provider_location set location_id = %(where)s
where provider_id = %(who)s and is_primary and effective_to is null
"""
RENEW = """
update license set status = 'active', expires = greatest(expires, issued) + 365 where provider_id = %(who)s
"""
STATUS = "update provider set status = %(status)s where provider_id = %(who)s"
LEAVE = """
delete from network_participation where id = (
    select id from network_participation where provider_id = %(who)s order by id limit 1)
"""
JOIN = """
insert into network_participation (provider_id, payer, product, network, par_status, effective)
values (%(who)s, 'Blue Heron Mutual', 'PPO', 'Heron Open Access', 'par', current_date - 1)
"""
CLINIC_MOVES = "update practice_location set line1 = %(line1)s where location_id = %(where)s"
COPY = "copy malpractice_claim (provider_id, claim_no, status) from stdin"


def fill(dsn: str, claims: int) -> None:
    """The master's first rows, and `claims` rows of a log: they make snapshots take a while, and decide nothing."""
    load_generated(dsn, PROVIDERS, SEED, as_of=date.today())
    with psycopg.connect(dsn) as connection:
        copy_claims(connection, claims)


def copy_claims(connection: Connection, count: int) -> None:
    row = connection.execute("select provider_id from provider limit 1").fetchone()
    assert row is not None
    with connection.cursor() as cursor, cursor.copy(COPY) as copy:
        for number in range(count):
            copy.write_row((row[0], f"C{number}", "open"))


def mark(connection: Connection, rng: Random, who: str, token: int) -> None:
    """The provider's row must be locked: tokens rise in commit order."""
    for statement in rng.sample(marks.STATEMENTS, len(marks.STATEMENTS)):
        connection.execute(statement, marks.values(who, token))


@dataclass(slots=True)
class Load:
    """One thread of transactions, until told to stop."""

    dsn: str
    ledger: Ledger
    rng: Random
    deletes: bool = True
    """False around a snapshot: rows deleted while capture is away are verification's to find, not ours"""
    hired: int = 0
    failure: BaseException | None = None
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[Load]:
        thread = threading.Thread(target=self._run, name="load")
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join(60)
        assert self.failure is None, f"the load failed: {self.failure!r}"

    def alive(self) -> bool:
        return self.failure is None

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._connected()
        except BaseException as failure:
            self.failure = failure

    def _connected(self) -> None:
        """Transactions on one connection, until it breaks."""
        try:
            with psycopg.connect(self.dsn, autocommit=True, connect_timeout=5) as connection:
                while not self._stop.is_set():
                    self._one(connection)
                    self._stop.wait(PACE)
        except psycopg.OperationalError:
            self._stop.wait(PACE)

    def _one(self, connection: Connection) -> None:
        what = self.rng.choice(self._repertoire())
        transact(connection, self.ledger, lambda: what(connection))

    def _repertoire(self) -> list[Callable[[Connection], Tokens]]:
        often = [self._touch, self._move, self._renew, self._two]
        seldom = [self._turn, self._clinic_moves, self._join]
        seldom += [self._hire] * (self.hired < MOST_HIRED) + [self._leave] * self.deletes
        return [*often * 3, *seldom]

    # ---- transactions; each returns the tokens it wrote ----

    def _touch(self, connection: Connection) -> Tokens:
        return self._marked(connection, self._some(connection, 1))

    def _two(self, connection: Connection) -> Tokens:
        return self._marked(connection, self._some(connection, 2))

    def _move(self, connection: Connection) -> Tokens:
        return self._marked(connection, self._some(connection, 1), MOVE, where=self._place(connection))

    def _renew(self, connection: Connection) -> Tokens:
        return self._marked(connection, self._some(connection, 1), RENEW)

    def _join(self, connection: Connection) -> Tokens:
        return self._marked(connection, self._some(connection, 1), JOIN)

    def _leave(self, connection: Connection) -> Tokens:
        return self._marked(connection, self._some(connection, 1), LEAVE)

    def _turn(self, connection: Connection) -> Tokens:
        """Somebody leaves, or comes back."""
        status = self.rng.choice(("terminated", "active", "active"))
        return self._marked(connection, self._some(connection, 1), STATUS, status=status)

    def _clinic_moves(self, connection: Connection) -> Tokens:
        line = f"{self.rng.randrange(10, 9900)} Bramble Lane"
        connection.execute(CLINIC_MOVES, {"line1": line, "where": self._place(connection)})
        return []

    def _hire(self, connection: Connection) -> Tokens:
        who = story.hire(connection, SEED).key
        self.hired += 1
        return self._marked(connection, [who])

    def _marked(self, connection: Connection, who: list[str], change: str = "", **values: Any) -> Tokens:
        connection.execute(LOCK, {"who": who})
        tokens = [(each, self.ledger.draw(each)) for each in who]
        for each, token in tokens:
            if change:
                connection.execute(change, {**values, "who": each})
            mark(connection, self.rng, each, token)
        return tokens

    def _some(self, connection: Connection, count: int) -> list[str]:
        return sorted(self.rng.sample(self._ids(connection, EVERYBODY), count))

    def _place(self, connection: Connection) -> str:
        return self.rng.choice(self._ids(connection, LOCATIONS))

    def _ids(self, connection: Connection, query: str) -> list[str]:
        return [row[0] for row in connection.execute(query)]


def transact(connection: Connection, ledger: Ledger, work: Callable[[], Tokens]) -> bool:
    """One transaction, entered in the ledger with what the master answered; False when it was refused."""
    tokens: Tokens = []
    committing = False
    try:
        with connection.transaction():
            tokens = work()
            committing = True
    except psycopg.IntegrityError:
        return False  # a random change the master's own rules forbid
    except EnvironmentFault as fault:  # how connectors.credentialing.load reports a broken connection
        ledger.settle(tokens, Outcome.REFUSED)
        raise psycopg.OperationalError(fault.message) from fault
    except psycopg.OperationalError:
        ledger.settle(tokens, Outcome.IN_DOUBT if committing else Outcome.REFUSED)
        raise
    ledger.settle(tokens, Outcome.ACKNOWLEDGED)
    return True


def big(dsn: str, ledger: Ledger, rng: Random, claims: int) -> None:
    """One transaction over everybody: the marks of one provider lie far apart, with a COPY between each two."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        who = [row[0] for row in connection.execute(EVERYBODY)]

        def work() -> Tokens:
            connection.execute(LOCK, {"who": who})
            tokens = [(each, ledger.draw(each)) for each in who]
            for statement in rng.sample(marks.STATEMENTS, len(marks.STATEMENTS)):
                with connection.cursor() as cursor:
                    cursor.executemany(statement, [marks.values(*token) for token in tokens])
                copy_claims(connection, claims // len(marks.STATEMENTS))
            return tokens

        assert transact(connection, ledger, work)
