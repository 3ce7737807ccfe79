"""Transactions are counted from END against rows: whole, lacking, sent again, and never a false alarm."""

from __future__ import annotations

import json
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from streams.operate.guard.completeness import DEADLINE, Ledger, read

TABLES = ("public.license", "public.provider")
LATER = 1_000.0


def row(txid: int, lsn: int, table: str = "license", text: str = "", **after: object) -> bytes:
    """As Debezium writes it: images, source, transaction, operation."""
    image = {"license_id": f"{lsn}", "note": text, **after}
    source = {"version": "3.7.0.Final", "table": table, "txId": txid, "lsn": lsn, "xmin": None}
    transaction = {"id": f"{txid}:{lsn}", "total_order": 1, "data_collection_order": 1}
    envelope = {"before": None, "after": image, "source": source, "transaction": transaction, "op": "c"}
    return json.dumps(envelope, separators=(",", ":")).encode()


def begin(txid: int, lsn: int) -> bytes:
    return json.dumps({"status": "BEGIN", "id": f"{txid}:{lsn}", "ts_ms": 1, "event_count": None}).encode()


def end(txid: int, lsn: int, **counts: int) -> bytes:
    listed = [{"data_collection": f"public.{table}", "event_count": n} for table, n in counts.items()]
    said = {
        "status": "END",
        "id": f"{txid}:{lsn}",
        "event_count": sum(counts.values()),
        "data_collections": listed,
    }
    return json.dumps(said).encode()


class Topic:
    """A ledger that is told records at the moments given."""

    def __init__(self) -> None:
        self.ledger = Ledger("credentialing", TABLES)
        self.offsets = count()

    def row(self, value: bytes, partition: int = 0, at: float = 1.0) -> None:
        found = read(value)
        assert found is not None
        self.ledger.row(partition, next(self.offsets), found, at)

    def boundary(self, value: bytes, at: float = 1.0) -> None:
        self.ledger.boundary(value, next(self.offsets), at)

    def settled(self, at: float = LATER) -> list[dict[str, int]]:
        return [found.missing for found in self.ledger.settle(at, at)]


def test_a_row_is_read_without_decoding_it_and_can_not_counterfeit_its_source() -> None:
    text = '"source":{"table":"provider","lsn":7,"transaction":{"id":"9:9"'
    found = read(row(728, 22225584, text=text))
    assert found is not None
    assert (found.txid, found.table, found.lsn) == (728, "license", 22225584)


def test_what_a_snapshot_reads_belongs_to_no_transaction() -> None:
    assert (
        read(b'{"before":null,"after":{},"source":{"table":"license","lsn":5},"transaction":null,"op":"r"}')
        is None
    )
    assert read(b"no envelope") is None


def test_a_whole_transaction_over_several_partitions_is_proven() -> None:
    topic = Topic()
    topic.boundary(begin(7, 100))
    topic.row(row(7, 101), partition=0)
    topic.row(row(7, 102), partition=3)
    topic.row(row(7, 103, "provider"), partition=3)
    topic.boundary(end(7, 110, license=2, provider=1))
    assert topic.settled(at=1.0) == []
    assert (topic.ledger.proven, topic.ledger.open) == (1, 0)


def test_rows_that_are_read_before_their_begin_count() -> None:
    topic = Topic()
    topic.row(row(7, 101))
    topic.boundary(begin(7, 100))
    topic.boundary(end(7, 110, license=1))
    topic.settled(at=1.0)
    assert topic.ledger.proven == 1


def test_a_missing_row_is_told_after_the_deadline_with_its_range() -> None:
    topic = Topic()
    topic.boundary(begin(7, 100))
    topic.row(row(7, 101))
    topic.boundary(end(7, 110, license=3))
    assert topic.ledger.settle(DEADLINE, DEADLINE) == []
    [found] = topic.ledger.settle(LATER, LATER)
    assert (found.first_lsn, found.last_lsn, found.missing) == (100, 110, {"license": 2})
    assert topic.ledger.open == 0


def test_nothing_is_judged_while_records_wait_to_be_read() -> None:
    topic = Topic()
    topic.boundary(begin(7, 100))
    topic.boundary(end(7, 110, license=1))
    assert topic.ledger.overdue(LATER)
    assert topic.ledger.settle(LATER, read_since=0.0) == []
    topic.row(row(7, 101), at=LATER)
    assert topic.ledger.settle(LATER, read_since=0.0) == []
    assert topic.ledger.proven == 1


def test_rows_of_a_copy_share_an_lsn_and_are_told_apart() -> None:
    topic = Topic()
    topic.boundary(begin(7, 100))
    for number in range(5):
        topic.row(row(7, 101, number=number))
    topic.boundary(end(7, 110, license=6))
    assert topic.settled() == [{"license": 1}]


def test_rows_sent_again_do_not_stand_in_for_lost_ones() -> None:
    topic = Topic()
    topic.boundary(begin(7, 100))
    for lsn in (101, 102, 103, 102, 103):
        topic.row(row(7, lsn))
    topic.boundary(end(7, 110, license=5))
    assert topic.settled() == [{"license": 2}]
    assert topic.ledger.twice == 2


def test_tables_outside_the_mapping_are_not_counted() -> None:
    """The signal table is dropped on its way; a logical message names a Java object."""
    topic = Topic()
    topic.boundary(begin(7, 100))
    topic.row(row(7, 101))
    said = json.loads(end(7, 110, license=1, concord_signal=1))
    said["data_collections"].append({"data_collection": "io.debezium.Message@1f", "event_count": 1})
    topic.boundary(json.dumps(said).encode())
    assert topic.settled() == []
    assert topic.ledger.proven == 1


def test_a_transaction_that_began_before_we_read_is_no_finding() -> None:
    topic = Topic()
    topic.row(row(7, 105))
    topic.boundary(end(7, 110, license=9))
    assert topic.settled() == []
    assert (topic.ledger.unproven, topic.ledger.incomplete) == (1, 0)


def test_a_transaction_without_end_is_let_go_once_newer_ones_are_old() -> None:
    topic = Topic()
    topic.boundary(begin(7, 100), at=1.0)
    topic.row(row(7, 101))
    assert topic.settled() == []
    assert topic.ledger.open == 1
    topic.boundary(begin(8, 110), at=2.0)
    assert topic.settled() == []
    assert (topic.ledger.unproven, topic.ledger.open) == (1, 1)


def test_beginning_again_reads_every_open_transaction_whole() -> None:
    topic = Topic()
    topic.boundary(begin(7, 100))  # offset 0
    topic.row(row(7, 101), partition=2)  # offset 1
    topic.boundary(end(7, 110, license=2))
    topic.boundary(begin(8, 110))
    topic.row(row(8, 111), partition=0)  # offset 4
    topic.boundary(end(8, 120, license=1))
    topic.settled(at=1.0)
    assert topic.ledger.resume_at(90, {0: 50, 1: 60, 2: 70}) == (0, {0: 4, 1: 60, 2: 1})


@given(
    rows=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 30)), min_size=1, max_size=40),
    again=st.integers(0, 40),
)
def test_a_restart_in_the_middle_never_changes_the_count(rows: list[tuple[int, int]], again: int) -> None:
    """Connect begins again at some row and sends all from there on: each partition sees its part of it in order."""
    topic = Topic()
    topic.boundary(begin(7, 100))
    sent = [
        (number, partition, lsn) for number, (partition, lsn) in enumerate(sorted(rows, key=lambda r: r[1]))
    ]
    for number, partition, lsn in [*sent, *sent[again:]]:
        topic.row(row(7, lsn, number=number), partition)
    topic.boundary(end(7, 110, license=len(sent)))
    assert topic.settled() == []
    assert topic.ledger.proven == 1
