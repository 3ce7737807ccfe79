"""A question to PostgreSQL: by a connection of its own, or by one that is kept between questions.

    proposals, audit, applied --connected--> psycopg;  from `keep` until `let_go`: a pool for each DSN

Who asks once (the command line) connects and leaves. Who asks for every page (the console) keeps connections: signing
in takes longer than most questions. A server that went away is noticed before its connection is used again. Nothing
is retried here, and no answer is kept.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeAlias

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

MOST = 8
"""Connections kept for each DSN while many pages are asked for at once; what nobody needs for a while is closed."""
IDLE_S = 60.0
SOON_S = 1.0
"""How long a pool may take. Then all are in use, or the server is away: a connection of its own tells the cause."""
Pool: TypeAlias = ConnectionPool[psycopg.Connection[Any]]

logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
"""What a pool warns of is raised, too, with its cause."""
_lock = threading.Lock()
_keeping = False
_pools: dict[str, Pool] = {}


def keep() -> None:
    """From now on this process keeps the connections it asks with."""
    global _keeping
    with _lock:
        _keeping = True


def let_go() -> None:
    """Close what is kept; from now on each question connects again."""
    global _keeping
    with _lock:
        _keeping, pools = False, list(_pools.values())
        _pools.clear()
    for pool in pools:
        pool.close()


@contextmanager
def connected(dsn: str, patience: int, **options: Any) -> Iterator[psycopg.Connection[Any]]:
    """A connection for one question, committed at the end; psycopg.OperationalError when none is to be had.

    patience  seconds that signing in may take
    options   psycopg.connect's, the same for every question to this DSN
    """
    how = {"connect_timeout": patience, **options}
    with ExitStack() as held:
        pool = _pool(dsn, how)
        try:
            found = held.enter_context(pool.connection(SOON_S) if pool else psycopg.connect(dsn, **how))
        except PoolTimeout:
            found = held.enter_context(psycopg.connect(dsn, **how))
        yield found


def _pool(dsn: str, how: dict[str, Any]) -> Pool | None:
    with _lock:
        if _keeping and dsn not in _pools:
            _pools[dsn] = ConnectionPool(
                dsn,
                kwargs=how,
                min_size=0,
                max_size=MOST,
                max_idle=IDLE_S,
                reconnect_timeout=SOON_S,
                num_workers=1,
                check=ConnectionPool.check_connection,
                open=True,
            )
        return _pools.get(dsn)
