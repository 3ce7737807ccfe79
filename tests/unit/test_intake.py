"""The transport's bookkeeping: order, the acknowledged prefix, a stuck partition, where reading begins."""

from __future__ import annotations

import gc

import pytest
from aiokafka import ConsumerRecord
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from streams.engine.copartition import check_copartitioned
from streams.engine.fetch import Start, start_at
from streams.engine.gate import Gap
from streams.engine.intake import BACKLOG_BYTES, Chunk, Intake
from streams.errors import EnvironmentFault

pytestmark = pytest.mark.unit
A, B = TP("claims", 0), TP("clock", 0)


def records(tp: TP, *offsets: int) -> list[ConsumerRecord]:
    return [
        ConsumerRecord(tp.topic, tp.partition, offset, 0, 0, None, b"", None, -1, 0, ()) for offset in offsets
    ]


def reading(tp: TP, count: int, chunk: int = 2, in_flight: int = 2) -> Intake:
    intake = Intake(chunk, in_flight)
    intake.start(tp, 0)
    intake.accept(tp, records(tp, *range(count)), count, count)
    return intake


def delivered(intake: Intake, *tps: TP) -> list[Chunk]:
    return list(intake.due(tps or (A, B)))


def offsets(chunks: list[Chunk]) -> list[list[int]]:
    return [[record.offset for record in chunk.records] for chunk in chunks]


def test_a_partition_has_at_most_its_share_of_chunks_out() -> None:
    intake = reading(A, 9)
    assert offsets(delivered(intake)) == [[0, 1], [2, 3]]
    assert delivered(intake) == []


def test_what_waits_is_bounded_by_its_bytes_too() -> None:
    """A captured row may have 16 MiB: two thousand of them are no backlog that a machine can hold."""
    intake = Intake(2_000, 1)
    intake.start(A, 0)
    large = bytes(BACKLOG_BYTES // 4)
    for offset in range(4):
        assert intake.wants(A)
        record = ConsumerRecord(A.topic, 0, offset, 0, 0, None, large, None, -1, len(large), ())
        intake.accept(A, [record], offset + 1, 9)
    assert not intake.wants(A)
    [chunk] = delivered(intake)
    assert intake.wants(A)
    intake.accept(A, records(A, 4), 5, 9)
    assert len(chunk.more()) == 1
    intake.ack(chunk)
    assert intake.wants(A)


def test_a_partition_that_is_stuck_holds_up_no_other() -> None:
    intake = reading(A, 9)
    delivered(intake)
    intake.accept(B, records(B, 7), 8, 8)
    assert offsets(delivered(intake)) == [[7]]


def test_partitions_take_turns() -> None:
    intake = reading(A, 4)
    intake.accept(B, records(B, 0, 1, 2, 3), 4, 4)
    assert [chunk.tp for chunk in delivered(intake)] == [A, B, A, B]


def test_a_backlog_comes_out_in_order_once_there_is_room() -> None:
    intake = reading(A, 5)
    first, second = delivered(intake)
    assert intake.ack(first)
    intake.ack(second)
    assert offsets(delivered(intake)) == [[4]]


def test_a_partition_with_a_chunk_waiting_is_not_fetched() -> None:
    intake = reading(A, 8)
    assert not intake.wants(A)
    delivered(intake)
    assert not intake.wants(A)
    assert intake.wants(B)


def test_only_the_acknowledged_prefix_is_committed() -> None:
    """Invariant 2: an acknowledgement out of order waits for its predecessors."""
    intake = reading(A, 6, in_flight=3)
    first, second, third = delivered(intake)
    intake.ack(second)
    assert intake.committable(A) is None
    intake.ack(first)
    assert intake.committable(A) == 4
    intake.ack(third)
    assert intake.committable(A) == 6


def test_with_nothing_outstanding_the_position_is_committed_past_transaction_markers() -> None:
    intake = Intake(10, 2)
    intake.start(A, 5)
    intake.accept(A, records(A, 5, 6), 8, 8)
    (chunk,) = delivered(intake)
    assert intake.committable(A) is None
    intake.ack(chunk)
    assert intake.committable(A) == 8


def test_a_chunk_of_before_a_seek_is_dead() -> None:
    intake = reading(A, 2)
    (old,) = delivered(intake)
    intake.clear()
    intake.start(A, 0)
    intake.accept(A, records(A, 0, 1), 2, 2)
    (new,) = delivered(intake)
    assert not intake.ack(old)
    assert (old.live, new.live, intake.committable(A)) == (False, True, None)


def test_clearing_ends_a_delivery_that_is_under_way() -> None:
    intake = reading(A, 4)
    due = intake.due((A,))
    next(due)
    intake.clear()
    assert list(due) == []


def test_progress_counts_what_is_left() -> None:
    intake = reading(A, 7)
    delivered(intake)
    progress = intake.progress({A: 12})[A]
    assert (progress.position, progress.end, progress.waiting, progress.working) == (7, 12, 3, 4)
    assert progress.behind == 12


@given(st.lists(st.integers(0, 5), max_size=40), st.integers(1, 4), st.integers(1, 4))
def test_whatever_the_order_of_acks_no_offset_is_committed_before_its_record_is_done(
    picks: list[int], chunk: int, in_flight: int
) -> None:
    intake = reading(A, 20, chunk, in_flight)
    out, done, seen = list(intake.due((A,))), set(), []
    seen += [record.offset for c in out for record in c.records]
    for pick in picks:
        if not out:
            break
        acked = out.pop(pick % len(out))
        intake.ack(acked)
        done |= {record.offset for record in acked.records}
        assert set(range(intake.committable(A) or 0)) <= done
        fresh = list(intake.due((A,)))
        out += fresh
        seen += [record.offset for c in fresh for record in c.records]
    assert seen == list(range(len(seen)))


@pytest.mark.parametrize(
    ("committed", "expected"),
    [
        (None, Start(3, None)),
        (3, Start(3, 3)),
        (9, Start(9, 9)),
        (2, Start(3, None, Gap(A, 2, 3))),
        (10, Start(3, None, Gap(A, 10, 3))),
    ],
)
def test_reading_begins_at_the_commit_and_a_commit_outside_the_log_is_a_gap(
    committed: int | None, expected: Start
) -> None:
    assert start_at(A, committed, 3, 9) == expected


def test_a_partition_number_that_lacks_a_topic_is_refused() -> None:
    with pytest.raises(EnvironmentFault, match="partition 1 came without clock"):
        check_copartitioned(frozenset({"claims", "clock"}), {A, B, TP("claims", 1)})


def test_a_worker_without_partitions_is_fine() -> None:
    check_copartitioned(frozenset({"claims"}), set())


def test_a_chunk_that_is_out_grows_by_what_was_read_behind_it() -> None:
    intake = reading(A, 2, chunk=4, in_flight=1)
    told: list[str] = []
    [chunk] = delivered(intake)
    chunk.arrived = lambda: told.append("more")
    intake.accept(A, records(A, 2, 3, 4), 5, 6)
    assert told == ["more"]
    assert [record.offset for record in chunk.more()] == [2, 3], "up to the size of a chunk"
    assert (chunk.end, chunk.behind) == (4, 2)
    assert chunk.more() == []
    intake.ack(chunk)
    assert intake.committable(A) == 4
    assert offsets(delivered(intake)) == [[4]]


def test_only_the_newest_chunk_grows_and_none_that_is_dead() -> None:
    intake = reading(A, 5, chunk=2, in_flight=2)
    first, second = delivered(intake)
    assert list(first.more()) == []
    intake.clear()
    assert list(second.more()) == []


def test_a_transactions_marker_behind_the_last_record_is_nothing_to_wait_for() -> None:
    intake = Intake(10, 2)
    intake.accept(A, records(A, 0, 1), 3, 3)
    [chunk] = delivered(intake)
    assert (chunk.end, chunk.behind) == (2, 0)


def test_a_settled_chunk_leaves_its_records_without_the_collector() -> None:
    """They are a worker's memory, and collecting thousands of them stops every partition for a tenth of a second."""
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        intake = reading(A, 2, chunk=4, in_flight=1)
        [chunk] = delivered(intake)
        intake.ack(chunk)
        del chunk
        gc.collect()
        assert [found for found in gc.garbage if isinstance(found, Chunk)] == []
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
