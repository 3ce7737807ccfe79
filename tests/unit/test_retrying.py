"""Backoff, circuit, and the target that tries again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.directory.request import build
from connectors.memory import MemoryTarget
from connectors.retrying import Backoff, Circuit, Retrying
from connectors.sink import Batch, Outcome, Refused
from streams.errors import ConcordError, Unavailable

DOWN = Unavailable("target.unavailable", "down")


class Flaky(MemoryTarget):
    """Fails a number of times, then answers."""

    def __init__(self, failures: list[ConcordError]) -> None:
        super().__init__(build)
        self.failures = failures

    def apply(self, batch: Batch) -> list[Outcome]:
        if self.failures:
            raise self.failures.pop()
        return super().apply(batch)


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_a_delay_never_leaves_its_bounds(attempt: int, share: float) -> None:
    assert 0 < Backoff(0.1, 5.0).delay(attempt, share) <= 5.0


def test_a_passing_fault_is_tried_again_at_once() -> None:
    waits: list[float] = []
    assert Retrying(Flaky([DOWN, DOWN]), waits.append).apply(Batch()) == []
    assert len(waits) == 2


def test_a_target_that_stays_down_is_told() -> None:
    with pytest.raises(Unavailable):
        Retrying(Flaky([DOWN] * 9), lambda seconds: None).apply(Batch())


def test_bad_data_is_never_tried_again() -> None:
    target = Flaky([Refused("target.value", "bad")])
    with pytest.raises(Refused):
        Retrying(target, lambda seconds: pytest.fail("waited")).apply(Batch())


def test_an_open_circuit_admits_one_try_after_its_delay() -> None:
    circuit = Circuit(Backoff(1.0, 8.0))
    circuit.failed(DOWN, now=10.0, share=1.0)
    assert (circuit.admits(10.5), circuit.state) == (False, "open")
    assert (circuit.admits(11.0), circuit.state) == (True, "half_open")


def test_a_failed_try_waits_longer_and_a_good_one_closes() -> None:
    circuit = Circuit(Backoff(1.0, 8.0))
    for _ in range(3):
        circuit.failed(DOWN, now=0.0, share=1.0)
    assert circuit.retry_at == 4.0
    circuit.succeeded()
    assert (circuit.admits(0.0), circuit.fault) == (True, None)


def test_an_outage_lasts_once_it_is_not_asked_again_within_half_a_minute_of_the_first_failure() -> None:
    circuit = Circuit(Backoff(1.0, 5.0))
    assert not circuit.lasts
    now, lasted = 100.0, []
    while now < 130.0:
        circuit.failed(DOWN, now, share=1.0)
        lasted.append(circuit.lasts)
        now = circuit.retry_at
    assert lasted == [*[False] * (len(lasted) - 1), True]
    circuit.succeeded()
    circuit.failed(DOWN, now + 1.0, share=1.0)
    assert not circuit.lasts, "another outage begins anew"
    circuit.failed(Unavailable("target.busy", "busy", retry_after=900), now + 2.0, share=1.0)
    assert circuit.lasts, "nobody will be asked for a quarter of an hour"


def test_who_asks_for_more_time_gets_it_and_is_not_asked_within_the_second() -> None:
    waits: list[float] = []
    busy = Unavailable("target.busy", "busy", retry_after=30)
    with pytest.raises(Unavailable):
        Retrying(Flaky([busy, busy]), waits.append).apply(Batch())
    assert waits == []
    circuit = Circuit()
    circuit.failed(busy, now=100.0, share=0.5)
    assert (circuit.admits(129.9), circuit.admits(130.0)) == (False, True)
