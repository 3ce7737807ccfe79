"""The one call: verify tables, repair what diverges where that is wanted, write both down.

    names --> each system's tables against the entities --bounds--> repair --> Verified a table --> topic `verification`

What `concord verify source` does, and whoever else has reason to doubt a table: the guard of capture after a gap, a
transaction that stayed incomplete, a new snapshot (a full verification follows it).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from connectors.checksum import RANGE, SHARE
from streams.core.verify import Shapes
from streams.operate.preparing import Say
from streams.operate.verify import book as noted
from streams.operate.verify import findings, repair
from streams.operate.verify.book import Book
from streams.operate.verify.entities import Entities
from streams.operate.verify.found import Verified
from streams.operate.verify.repair import Bounds, Repair
from streams.operate.verify.source import System, chosen
from streams.settings import Settings


def verify_source(
    settings: Settings,
    names: Iterable[str] = (),
    *,
    bounds: Bounds | None = None,
    by: str = "",
    cause: str = "",
    share: float = SHARE,
    size: int = RANGE,
    again: bool = False,
    say: Say = lambda text: None,
) -> list[Verified]:
    """Verify these tables (`system` or `system.table`; none: every one); with `bounds`, repair what diverges.

    `again`: rows whose newest change is in the quarantine are missing, and so are read again.

    Raises ConcordError where it could not look (a source that doesn't answer, capture that doesn't run, nobody who
    decides), and TooMany where `bounds` forbid a repair. That something diverges is no error but the answer.
    """
    by_system = chosen(settings, names)
    shapes = Shapes(shape for found in by_system.values() for shape in found)
    before = noted.told(settings)
    with Entities(settings, shapes) as entities, Book(settings) as book:
        systems = [System(settings, name, wanted, entities, say) for name, wanted in by_system.items()]
        found = [system.verify(share, size, again=again) for system in systems]
        tables = [table for some in found for table in some]
        try:
            if bounds is not None:
                repair.check(tables, bounds)
                for system, some in zip(systems, found, strict=True):
                    _mend(Repair(settings, system, book, by, cause, say), some)
        finally:  # what is left is said, also where a repair was refused or failed
            findings.tell(settings, entities, tables, before)
            book.verified(tables)
        return tables


def _mend(work: Repair, tables: Sequence[Verified]) -> None:
    work.mend([each for table in tables for each in table.standing])
