"""The first trap: a transaction that was open across the snapshot. Its rows are older in the log and newer in truth."""

from __future__ import annotations

import threading
from random import Random

from tests.faults.ledger import Outcome
from tests.faults.load import LOCK, mark
from tests.faults.oracle import Oracle
from tests.faults.platform import Platform

WAITING = """
select 1 from pg_stat_activity where query ilike '%%create_replication_slot%%' and pid <> pg_backend_pid()
"""


def test_a_transaction_that_was_open_across_the_snapshot_wins_everywhere(
    platform: Platform, oracle: Oracle
) -> None:
    begin = platform.snapshot_from_old_slot()
    with platform.master.connect() as early:
        who = oracle.shown(early)[1]
        with early.transaction():
            early.execute(LOCK, {"who": [who]})
            token = oracle.ledger.draw(who)
            mark(early, Random(token), who, token)
            begin()
            platform.wait(platform.snapshot_finished, "the snapshot, which can't see the open transaction")
        oracle.ledger.settle([(who, token)], Outcome.ACKNOWLEDGED)
    oracle.judge()
    assert all(oracle.tokens(system)[who] >= token for system in platform.adapters)


def test_a_new_slot_waits_for_the_open_transaction(platform: Platform, oracle: Oracle) -> None:
    """`concord sources apply --resnapshot` makes the slot anew: it starts where no transaction is open across it."""
    begin = platform.snapshot_from_new_slot()
    with platform.master.connect() as early:
        who = oracle.shown(early)[2]
        with early.transaction():
            early.execute(LOCK, {"who": [who]})
            token = oracle.ledger.draw(who)
            mark(early, Random(token), who, token)
            apply = threading.Thread(target=begin)
            apply.start()
            with platform.master.connect() as other:
                platform.wait(lambda: other.execute(WAITING).fetchone(), "the new slot to wait")
        oracle.ledger.settle([(who, token)], Outcome.ACKNOWLEDGED)
        apply.join()
    platform.wait(platform.snapshot_finished, "the snapshot")
    oracle.judge()
    assert all(oracle.tokens(system)[who] >= token for system in platform.adapters)
