"""A target behind an API, against the reference server: what holds without transactions, and its faults."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from connectors.rest.adapter import RestTarget
from connectors.rest.offsets import MemoryOffsets
from connectors.sink import Applied, Batch, Deferred, Failed, Partition, Superseded, View
from connectors.stop import Stopped
from streams.errors import EnvironmentFault, Unavailable
from tests import views
from tests.fixtures.waiting import wait_until
from tests.reference_api import SECRET, Noted, ReferenceApi, reference_api, target_of

PLACE = views.entity(1)
AT = Partition("sink.directory.provider", 0, "first")
PATIENCE = 0.3

Make = Callable[..., RestTarget]


@pytest.fixture
def api() -> Iterator[ReferenceApi]:
    with reference_api() as running:
        yield running


@pytest.fixture
def make(api: ReferenceApi) -> Iterator[Make]:
    with ExitStack() as opened:

        def one(receipts: Noted | None = None, **settings: Any) -> RestTarget:
            return opened.enter_context(closing(target_of(api, receipts, **settings)))

        yield one


def people(count: int, revision: int = 1) -> list[View]:
    return [views.provider("directory", views.entity(10 + n), revision) for n in range(count)]


def too_long(number: int = 99) -> View:
    return views.provider("directory", views.entity(number), npi="12345678901234567890")


def test_every_view_is_confirmed_by_a_receipt_before_its_offset_is_stored(
    api: ReferenceApi, make: Make
) -> None:
    noted, offsets = Noted(), MemoryOffsets()
    target = make(noted, offsets=offsets)
    noted.down = True
    with pytest.raises(Unavailable):
        target.apply(Batch(people(3), {AT: 3}))
    assert offsets.load([AT]) == {}
    noted.down = False
    assert target.apply(Batch(people(3), {AT: 3})) == [Applied()] * 3
    assert [(r.outcome, r.code, r.revision) for r in noted.receipts] == [("applied", "target.applied", 1)] * 3
    assert (offsets.load([AT]), len(api.puts())) == ({AT: 3}, 3)


def test_a_refused_view_is_sent_once_and_receipted_and_the_others_are_applied(
    api: ReferenceApi, make: Make
) -> None:
    noted, offsets = Noted(), MemoryOffsets()
    outcomes = make(noted, offsets=offsets).apply(Batch([*people(4), too_long()], {AT: 5}))
    assert [type(outcome) for outcome in outcomes] == [Applied] * 4 + [Failed]
    refusal = next(r for r in noted.receipts if r.outcome == "failed")
    assert refusal.code == "target.value"
    assert "npi" in refusal.message
    assert not [word for word in ("12345678901234567890", "Fernhollow") if word in refusal.message]
    assert (len(api.puts()), offsets.load([AT])) == (5, {AT: 5})


def test_what_timed_out_after_it_was_written_is_confirmed_by_its_key_and_written_once(
    api: ReferenceApi, make: Make
) -> None:
    noted = Noted()
    target = make(noted, timeout_s=PATIENCE)
    with api.slow(), pytest.raises(Unavailable) as fault:
        target.apply(Batch(people(1), {AT: 1}))
    assert fault.value.code == "target.unavailable"
    assert target.apply(Batch(people(1), {AT: 1})) == [Superseded()]
    assert [r.outcome for r in noted.receipts] == ["applied"]
    assert api.writes == [(f"provider/{people(1)[0].entity_id}", 1)]


def test_a_replay_is_a_no_op_when_the_api_has_forgotten_the_key(api: ReferenceApi, make: Make) -> None:
    noted = Noted()
    make(noted).apply(Batch(people(1)))
    api.forget_keys()
    assert make(noted).apply(Batch(people(1))) == [Superseded()]
    assert ([r.outcome for r in noted.receipts], len(api.writes)) == (["applied"] * 2, 1)


def test_after_a_fault_only_what_is_not_settled_is_sent_again(api: ReferenceApi, make: Make) -> None:
    target = make(concurrency=1)
    apply = Batch(people(6), {AT: 6})
    api.say(503, Retry_After="2")
    with pytest.raises(Unavailable) as fault:
        target.apply(apply)
    assert (fault.value.code, fault.value.retry_after) == ("target.busy", 2.0)
    assert target.apply(apply) == [Applied()] * 6
    assert len(api.puts()) == 1 + 6


def test_after_a_system_fault_no_further_request_goes_out(api: ReferenceApi, make: Make) -> None:
    target = make(concurrency=2)
    api.say(500, times=100)
    with pytest.raises(Unavailable):
        target.apply(Batch(people(50)))
    assert len(api.puts()) <= 2
    api.stop_saying()


def test_nothing_is_read_on_while_the_view_that_met_the_fault_still_does(
    api: ReferenceApi, make: Make
) -> None:
    """Kafka answers while the API is down: without this the pause would end with every look at the topic."""
    target = make()
    api.say(403, times=2)
    for call in (lambda: target.apply(Batch(people(1))), lambda: target.offsets([AT])):
        with pytest.raises(EnvironmentFault):
            call()
    assert target.offsets([AT]) == {}
    assert target.apply(Batch(people(1))) == [Applied()]


def test_a_server_that_drops_connections_loses_nothing(api: ReferenceApi, make: Make) -> None:
    target = make()
    target.apply(Batch(people(2)))
    with api.down(), pytest.raises(Unavailable):
        target.apply(Batch(people(2, 2)))
    assert target.apply(Batch(people(2, 2))) == [Applied()] * 2


def test_a_token_is_asked_for_once_and_renewed_when_it_is_refused(api: ReferenceApi, make: Make) -> None:
    target = make()
    target.apply(Batch(people(20)))
    assert api.tokens_given == 1
    api.expire_tokens()
    assert target.apply(Batch(people(20, 2))) == [Applied()] * 20
    assert api.tokens_given == 2


def test_a_token_is_renewed_before_it_ends(api: ReferenceApi, make: Make) -> None:
    api.life = -1  # over as soon as it is given
    assert make(concurrency=1).apply(Batch(people(3))) == [Applied()] * 3
    assert api.tokens_given == 3
    assert not [seen for seen in api.puts() if seen.status == 401]


def test_refused_credentials_are_one_fault_of_all_views_and_tell_no_secret(
    api: ReferenceApi, make: Make, tmp_path: Path
) -> None:
    """The secret's file is read again: who renews it need not restart anything."""
    secret = tmp_path / "secret"
    secret.write_text("expired-secret\n")
    noted = Noted()
    target = make(noted, client_secret_file=str(secret))
    with pytest.raises(EnvironmentFault) as fault:
        target.apply(Batch(people(30)))
    assert fault.value.code == "target.credentials"
    assert fault.value.retry_after > 0
    assert "expired-secret" not in f"{fault.value}{fault.value.__cause__}"
    assert (noted.receipts, api.puts()) == ([], [])
    secret.write_text(SECRET)
    assert target.apply(Batch(people(30))) == [Applied()] * 30


def test_a_missing_secret_says_which_setting_names_it(api: ReferenceApi, make: Make, tmp_path: Path) -> None:
    target = make(client_secret_file=str(tmp_path / "none"))
    with pytest.raises(EnvironmentFault) as fault:
        target.apply(Batch(people(1)))
    assert "CLIENT_SECRET_FILE" in fault.value.next_step


def test_the_offset_stays_before_a_view_that_waits(api: ReferenceApi, make: Make) -> None:
    """What waits is kept in memory only: after a restart it has to be read again."""
    offsets = MemoryOffsets()
    target = make(offsets=offsets)
    lists = [views.listing(PLACE)]
    waits = views.view("directory", "provider", views.entity(5), 4, listings=lists)  # offset 4
    place = Partition(waits.topic, 0, "first")
    assert isinstance(target.apply(Batch([waits], {place: 9}))[0], Deferred)
    assert offsets.load([place]) == {place: 4}
    target.apply(Batch([views.location("directory", PLACE)]))
    assert target.release() == [waits]
    assert target.apply(Batch(target.release())) == [Applied()]
    assert offsets.load([place]) == {place: 9}


def test_a_rate_limit_of_ours_is_kept_by_all_threads(api: ReferenceApi, make: Make) -> None:
    target = make(rate=20, concurrency=8)
    api.per_second = 25  # ours is below it, so nothing is ever refused
    assert target.apply(Batch(people(40))) == [Applied()] * 40
    assert {seen.status for seen in api.puts()} == {200}


def test_told_to_stop_it_sends_nothing_more_and_stores_nothing(api: ReferenceApi, make: Make) -> None:
    stop, offsets = threading.Event(), MemoryOffsets()
    target = make(offsets=offsets, stop=stop, rate=5, concurrency=1)
    raised: list[BaseException] = []

    def run() -> None:
        try:
            target.apply(Batch(people(100), {AT: 100}))
        except Stopped as told:
            raised.append(told)

    working = threading.Thread(target=run)
    working.start()
    wait_until(api.puts, what="a first request")
    stop.set()
    working.join(5)
    assert (len(raised), offsets.load([AT])) == (1, {})
