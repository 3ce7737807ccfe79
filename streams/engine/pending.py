"""Which entities are dirty, and when each may be decided: once its last transaction is over (design: decide once).

A transaction of a system is over in a partition when a record with a greater prior_commit has arrived from that
system, or when none of its records has arrived for `linger`, or for the shorter `skew` once a newer transaction was
heard in another partition: the source had finished it, only the way from broker to worker may differ. While the
partition is behind, more of it may still stand in the broker: then only `max_staleness` bounds the wait.

An entity touched by an initial snapshot waits for snapshot-complete, whatever else touches it meanwhile; a transaction
that is still open then is waited for too. One that only hears the answers to what it was sent (confirmations, the
platform's own writes) can wait a moment: three systems answer, and one decision does. Pure bookkeeping on monotonic
milliseconds given as arguments; rebuilt from the store's dirty marks after a restart or a failed chunk.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

LINGER_MS = 20.0
SKEW_MS = 5.0
MAX_STALENESS_MS = 5_000.0
WITHDRAW_LINGER_MS = 2_000.0
ANSWER_MS = 250.0
"""How long an answer waits for those of other systems; from then on it is decided with whatever else is ..."""
ANSWERED_MS = 500.0
"""... and by itself after so long."""


class Heard:
    """When a record of each system's newest transaction was last heard, in any partition of this worker.

    A transaction that still arrives elsewhere is not over here: without this a large one, whose rows of one entity
    lie far apart, would be decided in halves.
    """

    def __init__(self) -> None:
        self._last: dict[str, tuple[tuple[int, ...], float]] = {}
        self._listeners: list[Callable[[], None]] = []

    def listen(self, callback: Callable[[], None]) -> None:
        """Call back whenever a newer transaction is heard for the first time."""
        self._listeners.append(callback)

    def note(self, system: str, prior: tuple[int, ...], now_ms: float) -> None:
        """A streamed record of this transaction arrived."""
        known = self._last.get(system)
        if known is None or prior >= known[0]:
            self._last[system] = (prior, now_ms)
        if known is not None and prior > known[0]:
            for callback in self._listeners:
                callback()

    def last_ms(self, system: str, prior: tuple[int, ...], otherwise: float) -> float:
        """When this transaction was last heard anywhere; `otherwise` when another one is newer."""
        known = self._last.get(system)
        return max(known[1], otherwise) if known is not None and known[0] == prior else otherwise

    def is_newer(self, system: str, prior: tuple[int, ...]) -> bool:
        """Whether a newer transaction was heard in any partition."""
        known = self._last.get(system)
        return known is not None and known[0] > prior


class Transaction:
    """The newest transaction of one system in this partition, still possibly open."""

    __slots__ = ("last_ms", "newer_ms", "prior", "touched")

    def __init__(self, prior: tuple[int, ...], now_ms: float | None) -> None:
        self.prior = prior
        self.last_ms = now_ms
        """when a record of it was last heard; None after a restart, until somebody looks"""
        self.newer_ms: float | None = None
        """when it was noticed that another partition heard a newer one"""
        self.touched: dict[bytes, None] = {}


class Pending:
    """The dirty entities of one partition. `prior` is (epoch, prior_commit)."""

    def __init__(
        self,
        linger_ms: float = LINGER_MS,
        withdraw_linger_ms: float = WITHDRAW_LINGER_MS,
        heard: Heard | None = None,
        skew_ms: float = SKEW_MS,
    ) -> None:
        self._heard = heard or Heard()
        self.linger_ms = linger_ms
        self.skew_ms = min(skew_ms, linger_ms)
        self.behind: set[str] = set()
        """systems of which this partition has more to read at once"""
        self.withdraw_linger_ms = withdraw_linger_ms
        self._open: dict[str, Transaction] = {}
        self._due: dict[bytes, bool] = {}
        """key -> whether its transaction was proven over"""
        self._withdrawing: dict[bytes, float] = {}
        """key -> when its withdrawal may be decided"""
        self._withheld: dict[bytes, float] = {}
        """key -> since when a withdrawal was put off, again and again where it is touched meanwhile"""
        self._asked: dict[bytes, float] = {}
        """the same of those that were last due: they may be put off once more"""
        self._answered: dict[bytes, tuple[float, str, tuple[int, ...]]] = {}
        """key -> when it is to be decided, and the transaction that touched it last; oldest first"""
        self._snapshot: dict[str, dict[bytes, None]] = {}
        self._released: deque[bytes] = deque()
        self._deferred: set[bytes] = set()
        """released while a transaction of theirs may go on: due when that is over"""
        self.late = 0
        """entities touched by a transaction that was thought to be over: views of half a transaction"""
        self._lingered: dict[str, tuple[tuple[int, ...], set[bytes]]] = {}
        self._unproven: set[bytes] = set()
        """a transaction of theirs ended by silence alone while another one went on"""
        self._since: dict[bytes, float] = {}
        """key -> when it was touched first since its last decision, oldest first"""
        self._now_ms = 0.0

    def observe(self, system: str, prior: tuple[int, ...], now_ms: float) -> None:
        """A streamed record of this transaction arrived, whatever it touched."""
        self._now_ms = now_ms
        self._heard.note(system, prior, now_ms)
        current = self._open.get(system)
        if current is None or prior > current.prior:
            self._open[system] = Transaction(prior, now_ms)
            if current is not None:
                self._end(current.touched, True)
            self._lingered.pop(system, None)
        elif prior == current.prior:
            current.last_ms = now_ms

    def _end(self, keys: Iterable[bytes], proven: bool) -> None:
        """A transaction of theirs is over; who has rows of another system's open one is due when that is, too."""
        going_on = [each.touched for each in self._open.values() if each.touched]
        for key in keys:
            if any(key in touched for touched in going_on):
                if not proven:
                    self._unproven.add(key)
            else:
                self._due[key] = proven and key not in self._unproven

    def touch(self, system: str, prior: tuple[int, ...], key: bytes) -> None:
        """The transaction made this entity dirty; call after `observe`."""
        current = self._open.get(system)
        if current is None or prior < current.prior:
            # Re-sent after a restart, its transaction is long over; or a defect kept its record from being observed.
            self._end([key], True)
            return
        current.touched[key] = None
        self._since.setdefault(key, self._now_ms)
        self._answered.pop(key, None)
        self._due.pop(key, None)
        self._withdrawing.pop(key, None)
        lingered = self._lingered.get(system)
        if lingered is not None and lingered[0] == prior and key in lingered[1]:
            self.late += 1
            lingered[1].discard(key)

    def answer(self, system: str, prior: tuple[int, ...], key: bytes) -> None:
        """The transaction answered what this entity was sent: decided soon, unless it is due for another reason."""
        if key in self._since or key in self._due or key in self._withdrawing:
            return
        at_ms = self._answered[key][0] if key in self._answered else self._now_ms + ANSWER_MS
        self._answered[key] = (at_ms, system, prior)

    def touch_snapshot(self, system: str, key: bytes) -> None:
        """An initial snapshot made this entity dirty. Until it is released, nothing else makes it due."""
        self._snapshot.setdefault(system, {})[key] = None
        self._deferred.discard(key)  # due with this release: waited for, no snapshot would ever be over

    def waiting(self, system: str) -> list[bytes]:
        """Entities that wait for this system's snapshot-complete."""
        return list(self._snapshot.get(system, ()))

    def reopen(self, system: str, prior: tuple[int, ...], key: bytes) -> None:
        """After a restart: left dirty by this transaction, which may go on if it is the newest of all."""
        current = self._open.get(system)
        if current is None or prior > current.prior:
            if current is not None:
                self._due.update(dict.fromkeys(current.touched, True))
            current = self._open[system] = Transaction(prior, None)
        if prior == current.prior:
            current.touched[key] = None
        else:
            self._due[key] = True

    def restore(self, key: bytes) -> None:
        """Decide this entity now, unless it has rows of a transaction that may go on."""
        if not any(key in transaction.touched for transaction in self._open.values()):
            self._due[key] = True

    def release(self, system: str, keys: Iterable[bytes]) -> None:
        """These entities need not wait for this snapshot any more; for what else touches them they do."""
        held = self._snapshot.get(system, {})
        for key in keys:
            if held.pop(key, 0) is None and not self._held(key):
                if key in self._due or any(key in transaction.touched for transaction in self._open.values()):
                    self._deferred.add(key)
                else:
                    self._released.append(key)

    def releasing(self) -> bool:
        """Whether released entities still wait for their decision."""
        return bool(self._released or self._deferred)

    def _held(self, key: bytes) -> bool:
        return any(key in keys for keys in self._snapshot.values())

    def _leave_held(self) -> None:
        """What is due but waits for a snapshot is decided with its release: half of its rows may be missing."""
        if any(self._snapshot.values()):
            for key in [key for key in self._due if self._held(key)]:
                del self._due[key]
                self._since.pop(key, None)
                for _, lingered in self._lingered.values():
                    lingered.discard(key)

    def due(self, now_ms: float, limit: int) -> list[tuple[bytes, bool]]:
        """Up to `limit` entities to decide now, which leave the books, each with whether its transaction was
        proven over (rather than lingered out)."""
        self._hear_out(now_ms)
        self._linger_out(now_ms)
        self._grow_stale(now_ms)
        for key in [k for k, at in self._withdrawing.items() if at <= now_ms]:
            del self._withdrawing[key]
            self._due[key] = True
        self._leave_held()
        items = [(key, self._due[key] or self._put_off(key, now_ms)) for key in list(self._due)[:limit]]
        for key, _ in items:
            del self._due[key]
            self._since.pop(key, None)
            self._deferred.discard(key)
            self._unproven.discard(key)
        while self._released and len(items) < limit:
            items.append((self._released.popleft(), True))
        self._asked = {key: self._withheld.pop(key) for key, _ in items if key in self._withheld}
        return items

    def _put_off(self, key: bytes, now_ms: float) -> bool:
        """Whether a withdrawal was put off for so long that it is made, whatever still goes on."""
        return self._withheld.get(key, now_ms) + MAX_STALENESS_MS <= now_ms

    def _hear_out(self, now_ms: float) -> None:
        """Answers that have waited long enough; a transaction of one that still goes on is waited for."""
        while self._answered:
            key, (at_ms, system, prior) = next(iter(self._answered.items()))
            if at_ms > now_ms:
                return
            del self._answered[key]
            current = self._open.get(system)
            if current is not None and current.prior == prior:
                current.touched[key] = None
                self._since[key] = now_ms
            else:
                self._due[key] = True

    def _grow_stale(self, now_ms: float) -> None:
        """An entity touched again and again, with no pause to decide it in, is decided all the same in the end."""
        while self._since:
            key, since = next(iter(self._since.items()))
            if since + MAX_STALENESS_MS > now_ms:
                return
            del self._since[key]
            for system, current in self._open.items():
                if key in current.touched:
                    del current.touched[key]
                    self._due[key] = False
                    self._lingered.setdefault(system, (current.prior, set()))[1].add(key)

    def _linger_out(self, now_ms: float) -> None:
        for system, current in self._open.items():
            if current.touched and self._over_ms(system, current, now_ms) <= now_ms:
                silent, current.touched = current.touched, {}
                self._end(silent, False)
                self._lingered[system] = (current.prior, {key for key in silent if key in self._due})

    def _over_ms(self, system: str, transaction: Transaction, now_ms: float) -> float:
        """When this transaction will count as over, as far as is known now."""
        if transaction.last_ms is None:
            transaction.last_ms = now_ms
        last = self._heard.last_ms(system, transaction.prior, transaction.last_ms)
        if system in self.behind:
            return last + MAX_STALENESS_MS
        if transaction.newer_ms is None and self._heard.is_newer(system, transaction.prior):
            transaction.newer_ms = now_ms
        if transaction.newer_ms is None:
            return last + self.linger_ms
        return min(last + self.linger_ms, max(last, transaction.newer_ms) + self.skew_ms)

    def wait_to_withdraw(self, key: bytes, now_ms: float) -> None:
        """A decision that would withdraw something on a lingered-out transaction waits longer."""
        self._withdrawing[key] = now_ms + self.withdraw_linger_ms
        self._withheld[key] = self._asked.get(key, now_ms)

    def next_ms(self, now_ms: float) -> float | None:
        """When something may be due, in monotonic ms; None when nothing waits for time."""
        if self._due or self._released:
            return now_ms
        times = [self._over_ms(s, t, now_ms) for s, t in self._open.items() if t.touched]
        times += self._withdrawing.values()
        if self._answered:
            times.append(next(iter(self._answered.values()))[0] + ANSWERED_MS - ANSWER_MS)
        if times and self._since:
            times.append(next(iter(self._since.values())) + MAX_STALENESS_MS)
        return min(times) if times else None

    def later_ms(self, now_ms: float) -> float | None:
        """When the next of the transactions that are not over yet will count as over, as far as is known."""
        times = (self._over_ms(system, each, now_ms) for system, each in self._open.items() if each.touched)
        return min((at for at in times if at > now_ms), default=None)

    def __len__(self) -> int:
        return (
            len(self._due)
            + len(self._withdrawing)
            + len(self._answered)
            + len(self._released)
            + sum(len(t.touched) for t in self._open.values())
            + sum(len(keys) for keys in self._snapshot.values())
        )
