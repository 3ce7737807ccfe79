"""When an entity may be decided: the rules of a transaction's end, held against a model, and each by an example."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from streams.engine.pending import (
    ANSWER_MS,
    ANSWERED_MS,
    LINGER_MS,
    MAX_STALENESS_MS,
    WITHDRAW_LINGER_MS,
    Heard,
    Pending,
)

A, B = b"provider/a", b"provider/b"
S = "credentialing"


def touched(pending: Pending, prior: int, key: bytes, now: float, system: str = S) -> None:
    pending.observe(system, (1, prior), now)
    pending.touch(system, (1, prior), key)


def test_an_entity_waits_while_its_transaction_may_go_on() -> None:
    pending = Pending()
    touched(pending, 10, A, 0)
    assert pending.due(LINGER_MS - 1, 9) == []


def test_a_greater_prior_commit_proves_the_transaction_over() -> None:
    pending = Pending()
    touched(pending, 10, A, 0)
    touched(pending, 11, B, 0)
    assert pending.due(0, 9) == [(A, True)]


def test_another_epoch_proves_it_too() -> None:
    pending = Pending()
    touched(pending, 10, A, 0)
    pending.observe(S, (2, 1), 0)
    assert pending.due(0, 9) == [(A, True)]


def test_another_systems_record_proves_nothing() -> None:
    pending = Pending()
    touched(pending, 10, A, 0)
    touched(pending, 99, B, 0, "directory")
    assert pending.due(0, 9) == []


def test_a_record_sent_again_ends_nothing() -> None:
    pending = Pending()
    touched(pending, 10, A, 0)
    pending.observe(S, (1, 9), 1)
    assert pending.due(1, 9) == []


def test_an_entity_of_two_open_transactions_is_due_when_both_are_over() -> None:
    """Each system's order proves nothing of another's: decided on the first end, it would be decided on half the other."""
    pending = Pending()
    touched(pending, 10, A, 0)
    touched(pending, 5, A, 1, "directory")
    pending.observe("directory", (1, 6), 2)
    assert pending.due(LINGER_MS - 1, 9) == []
    pending.observe(S, (1, 11), LINGER_MS - 1)
    assert pending.due(LINGER_MS - 1, 9) == [(A, True)]


def test_what_one_of_two_transactions_ended_in_silence_the_other_does_not_prove() -> None:
    pending = Pending()
    touched(pending, 5, A, 0, "directory")
    touched(pending, 10, A, LINGER_MS - 1)
    assert pending.due(LINGER_MS, 9) == [], "the directory's is over, by silence"
    pending.observe(S, (1, 11), LINGER_MS)
    assert pending.due(LINGER_MS, 9) == [(A, False)]
    touched(pending, 12, A, 100)
    pending.observe(S, (1, 13), 100)
    assert pending.due(100, 9) == [(A, True)], "it counts for that decision only"


def answered(pending: Pending, prior: int, key: bytes, now: float, system: str = "directory") -> None:
    pending.observe(system, (1, prior), now)
    pending.answer(system, (1, prior), key)


def test_the_answers_of_several_systems_are_one_decision() -> None:
    pending = Pending()
    for moment, system in enumerate(("directory", "enrollment", "billing")):
        answered(pending, 10, A, moment, system)
        pending.observe(system, (1, 11), moment)
    assert pending.due(ANSWER_MS - 1, 9) == []
    assert (len(pending), pending.next_ms(0)) == (1, ANSWERED_MS), "nothing is done for it alone before"
    assert pending.due(ANSWER_MS, 9) == [(A, True)], "with what is done anyway it is"
    assert len(pending) == 0


def test_a_users_word_does_not_wait_for_answers() -> None:
    pending = Pending()
    answered(pending, 10, A, 0)
    touched(pending, 10, A, 1)
    touched(pending, 11, B, 1)
    assert pending.due(1, 9) == [(A, True)]
    answered(pending, 12, B, 2)
    touched(pending, 12, A, 2)
    assert pending.due(2, 9) == [(B, True)], "an answer puts nothing off"


def test_an_answer_that_still_arrives_is_waited_for() -> None:
    pending = Pending()
    answered(pending, 10, A, 0)
    pending.observe("directory", (1, 10), ANSWER_MS)
    assert pending.due(ANSWER_MS, 9) == []
    assert pending.due(ANSWER_MS + LINGER_MS, 9) == [(A, False)]


def test_a_row_of_an_older_transaction_is_due_at_once_unless_its_entity_has_rows_in_the_open_one() -> None:
    pending = Pending()
    touched(pending, 10, A, 0)
    touched(pending, 9, B, 0)
    touched(pending, 9, A, 0)
    assert pending.due(0, 9) == [(B, True)]


def test_silence_ends_a_transaction_unproven() -> None:
    pending = Pending()
    touched(pending, 10, A, 0)
    pending.observe(S, (1, 10), 15)
    assert pending.due(LINGER_MS, 9) == [], "a record of it, of another entity, keeps it open"
    assert pending.due(15 + LINGER_MS, 9) == [(A, False)]


def test_a_transaction_still_heard_in_another_partition_is_not_over_here() -> None:
    heard = Heard()
    here, there = Pending(heard=heard), Pending(heard=heard)
    touched(here, 10, A, 0)
    there.observe(S, (1, 10), 15)
    assert here.due(LINGER_MS, 9) == []
    assert here.next_ms(LINGER_MS) == 15 + LINGER_MS
    assert here.due(15 + LINGER_MS, 9) == [(A, False)]


def test_a_newer_transaction_heard_elsewhere_does_not_prolong_this_one() -> None:
    heard = Heard()
    here, there = Pending(heard=heard), Pending(heard=heard)
    touched(here, 10, A, 0)
    there.observe(S, (1, 11), 15)
    assert here.due(LINGER_MS, 9) == [(A, False)]


def test_a_late_row_of_a_lingered_transaction_is_counted() -> None:
    pending = Pending()
    touched(pending, 10, A, 0)
    assert pending.due(LINGER_MS, 9) == [(A, False)]
    touched(pending, 10, B, LINGER_MS + 1)
    assert pending.late == 0, "a row of another entity breaks no view"
    touched(pending, 10, A, LINGER_MS + 2)
    assert pending.late == 1


def test_a_withdrawal_on_silence_waits_longer_and_a_new_row_ends_the_wait() -> None:
    pending = Pending()
    pending.wait_to_withdraw(A, 100)
    pending.wait_to_withdraw(B, 100)
    assert pending.due(99 + WITHDRAW_LINGER_MS, 9) == []
    touched(pending, 10, B, 200)
    assert pending.due(100 + WITHDRAW_LINGER_MS, 9) == [(B, False), (A, True)]


def test_what_a_snapshot_touched_waits_for_its_release() -> None:
    pending = Pending()
    pending.touch_snapshot(S, A)
    pending.touch_snapshot(S, B)
    assert pending.due(1e9, 9) == []
    assert pending.next_ms(0) is None
    assert pending.waiting(S) == [A, B]
    pending.release(S, [A, b"provider/unknown"])
    assert pending.releasing()
    assert pending.due(0, 9) == [(A, True)]
    assert not pending.releasing()
    assert pending.waiting(S) == [B]


def test_a_transaction_that_goes_on_when_a_snapshot_is_over_is_waited_for() -> None:
    """Its first half arrived while the entity waited: released at once, the first view would be torn."""
    pending = Pending()
    pending.touch_snapshot(S, A)
    touched(pending, 10, A, 100)
    pending.release(S, [A])
    assert pending.releasing()
    assert pending.due(100 + LINGER_MS / 2, 9) == []
    touched(pending, 10, A, 100 + LINGER_MS / 2)
    touched(pending, 11, B, 100 + LINGER_MS)
    assert pending.due(100 + LINGER_MS, 9) == [(A, True)]
    assert (pending.releasing(), pending.late) == (False, 0)


def test_what_another_snapshot_touches_while_it_is_deferred_holds_up_no_release() -> None:
    """Nothing of a snapshot is released while releases go on: what can't become due must not count as one."""
    pending = Pending()
    pending.touch_snapshot(S, A)
    touched(pending, 10, A, 0)
    pending.release(S, [A])
    pending.touch_snapshot("other", A)
    assert pending.due(LINGER_MS, 9) == []
    assert not pending.releasing()
    pending.release("other", [A])
    assert pending.due(LINGER_MS, 9) == [(A, True)]


def test_nothing_else_decides_what_waits_for_a_snapshot() -> None:
    """A change streamed by another system, silence or staleness: half of the snapshot's rows may be missing."""
    pending = Pending()
    pending.touch_snapshot("master", A)
    touched(pending, 10, A, 0)
    pending.restore(A)
    assert pending.due(2 * MAX_STALENESS_MS, 9) == []
    assert pending.next_ms(2 * MAX_STALENESS_MS) is None
    pending.release("master", [A])
    assert pending.due(2 * MAX_STALENESS_MS, 9) == [(A, True)]


def test_no_more_than_the_limit_is_due_and_the_rest_stays() -> None:
    pending = Pending()
    for key in (b"1", b"2", b"3"):
        pending.restore(key)
    assert [key for key, _ in pending.due(0, 2)] == [b"1", b"2"]
    assert pending.next_ms(5) == 5
    assert [key for key, _ in pending.due(0, 2)] == [b"3"]
    assert pending.next_ms(5) is None


def test_an_entity_with_rows_of_an_open_transaction_is_not_made_due_by_a_restore() -> None:
    pending = Pending()
    touched(pending, 10, A, 0)
    pending.restore(A)
    assert pending.due(0, 9) == []


def test_after_a_restart_only_the_newest_transaction_may_still_go_on() -> None:
    """Its rest may stand unread in the log: decided at once, the view would be of half a transaction."""
    pending = Pending()
    pending.reopen(S, (1, 9), A)
    pending.reopen(S, (1, 10), B)
    assert pending.due(50, 9) == [(A, True)]
    assert pending.next_ms(51) == 50 + LINGER_MS, "silence counts from the first look"
    pending.observe(S, (1, 10), 60)
    assert pending.due(50 + LINGER_MS, 9) == []
    pending.observe(S, (1, 11), 61)
    assert pending.due(61, 9) == [(B, True)]


def test_after_a_restart_silence_ends_the_newest_transaction_unproven() -> None:
    pending = Pending()
    pending.reopen(S, (1, 10), A)
    pending.reopen(S, (1, 9), B)
    assert pending.due(0, 9) == [(B, True)]
    assert pending.due(LINGER_MS, 9) == [(A, False)]


@dataclass
class Model:
    """What is known of each key, in the words of the design rather than of the code."""

    newest: int = 0
    last_heard: float = 0.0
    open: set[bytes] = field(default_factory=set)
    since: dict[bytes, float] = field(default_factory=dict)
    over: dict[bytes, bool] = field(default_factory=dict)
    withdrawing: dict[bytes, float] = field(default_factory=dict)
    put_off: dict[bytes, float] = field(default_factory=dict)
    asked: dict[bytes, float] = field(default_factory=dict)
    snapshot: set[bytes] = field(default_factory=set)
    released: list[bytes] = field(default_factory=list)


class PendingAgainstModel(RuleBasedStateMachine):
    """One system, one partition, any interleaving of records, time and questions."""

    @initialize()
    def start(self) -> None:
        self.now = 0.0
        self.pending = Pending()
        self.model = Model()

    @rule(step=st.sampled_from([-2, -1, 0, 0, 0, 1, 1, 2]), key=st.sampled_from([A, B, None]))
    def record(self, step: int, key: bytes | None) -> None:
        model = self.model
        prior = max(1, model.newest + step)
        self.pending.observe(S, (1, prior), self.now)
        if prior > model.newest:
            model.over |= dict.fromkeys(model.open, True)
            model.open, model.newest = set(), prior
        if prior == model.newest:
            model.last_heard = self.now
        if key is not None:
            self.pending.touch(S, (1, prior), key)
            self._touch(key, prior)

    def _touch(self, key: bytes, prior: int) -> None:
        model = self.model
        if prior == model.newest:
            model.open.add(key)
            model.since.setdefault(key, self.now)
            model.over.pop(key, None)
            model.withdrawing.pop(key, None)
        elif key not in model.open:
            model.over[key] = True

    @rule(key=st.sampled_from([A, B]))
    def snapshot(self, key: bytes) -> None:
        self.pending.touch_snapshot(S, key)
        self.model.snapshot.add(key)

    @rule()
    def release(self) -> None:
        self.pending.release(S, self.pending.waiting(S))
        busy = self.model.open | self.model.over.keys()
        self.model.released += sorted(self.model.snapshot - busy)
        self.model.snapshot.clear()

    @rule(key=st.sampled_from([A, B]))
    def wait(self, key: bytes) -> None:
        self.pending.wait_to_withdraw(key, self.now)
        self.model.withdrawing[key] = self.now + WITHDRAW_LINGER_MS
        self.model.put_off[key] = self.model.asked.get(key, self.now)

    @rule(ms=st.sampled_from([1.0, 19.0, 20.0, 2_000.0, 5_000.0]))
    def time_passes(self, ms: float) -> None:
        self.now += ms

    @rule(limit=st.integers(1, 3))
    def ask(self, limit: int) -> None:
        model = self.model
        if model.open and self.now - model.last_heard >= LINGER_MS:
            model.over |= dict.fromkeys(model.open, False)
            model.open = set()
        for key in [k for k, at in model.since.items() if at + MAX_STALENESS_MS <= self.now]:
            del model.since[key]
            if key in model.open:
                model.open.remove(key)
                model.over[key] = False
        for key in [k for k, at in model.withdrawing.items() if at <= self.now]:
            del model.withdrawing[key]
            model.over[key] = True
        for key in model.over.keys() & model.snapshot:
            del model.over[key]
            model.since.pop(key, None)
        expected = {**dict.fromkeys(model.released, True)}
        due = self.pending.due(self.now, limit)
        assert len(due) <= limit
        for key, proven in due:
            if key in model.over:
                model.since.pop(key, None)
                long_put_off = model.put_off.get(key, self.now) + MAX_STALENESS_MS <= self.now
                assert proven == (model.over.pop(key) or long_put_off)
            else:
                assert expected[key] is proven
                model.released.remove(key)
        model.asked = {key: model.put_off.pop(key) for key, _ in due if key in model.put_off}
        assert len(due) == limit or not (model.over or model.released)

    @invariant()
    def nothing_is_lost(self) -> None:
        if hasattr(self, "pending"):
            model = self.model
            parts = (model.open, model.over, model.withdrawing, model.snapshot, model.released)
            assert len(self.pending) == sum(len(part) for part in parts)

    @invariant()
    def what_waits_for_time_says_until_when(self) -> None:
        if hasattr(self, "pending"):
            model = self.model
            waits = model.open or model.over or model.withdrawing or model.released
            assert (self.pending.next_ms(self.now) is not None) == bool(waits)


PendingAgainstModel.TestCase.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
TestPendingAgainstModel = PendingAgainstModel.TestCase


def test_an_entity_touched_without_a_pause_is_decided_in_the_end() -> None:
    pending, now, prior = Pending(), 0.0, 10
    decided: list[tuple[bytes, bool]] = []
    while not decided:
        touched(pending, prior, A, now)
        decided = pending.due(now, 9)
        prior, now = prior + 1, now + LINGER_MS / 2
        assert now < 2 * MAX_STALENESS_MS
    assert decided == [(A, False)], "its newest transaction may still go on"
    assert now >= MAX_STALENESS_MS


def test_a_withdrawal_that_is_put_off_again_and_again_is_made_in_the_end() -> None:
    """Rows of other systems, each after silence, must not keep a provider listed who is excluded."""
    pending, now, prior = Pending(), 0.0, 10
    proven = False
    while not proven:
        touched(pending, prior, A, now)
        [(_, proven)] = pending.due(now + LINGER_MS, 9)
        if not proven:
            pending.wait_to_withdraw(A, now + LINGER_MS)
        prior, now = prior + 1, now + WITHDRAW_LINGER_MS / 2
        assert now < 2 * MAX_STALENESS_MS
    assert now >= MAX_STALENESS_MS
    touched(pending, prior, A, now)
    assert pending.due(now + LINGER_MS, 9) == [(A, False)], "the next one is put off anew"


def test_who_waits_only_for_staleness_is_looked_at_then() -> None:
    pending = Pending(linger_ms=10 * MAX_STALENESS_MS)
    touched(pending, 10, A, 0)
    assert pending.next_ms(0) == MAX_STALENESS_MS
    assert pending.due(MAX_STALENESS_MS, 9) == [(A, False)]
    assert pending.next_ms(MAX_STALENESS_MS) is None
