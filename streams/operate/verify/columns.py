"""Which columns of a row differ: names only, for whoever has to judge a divergence.

    rows that are different --texts of both sides--> names of the columns

A document with a fraction in it has more than one text (jsonb keeps `1.50`, a float is 1.5), so such columns are read
as documents here: a row of which no column differs is not different. Values stay in this module (invariant 11).
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from connectors.checksum import Checksums
from streams.core.verify import Held, Shape
from streams.operate.verify.entities import Entities
from streams.operate.verify.found import Divergence

DOCUMENTS = ("json", "text_list")
UNKNOWN = "?"
"""The row has come or gone since it was compared."""


def differing(entities: Entities, shape: Shape, checks: Checksums, found: Sequence[Divergence]) -> None:
    """Note the names of the columns of each."""
    stored = entities.stored(each.key for each in found)
    theirs = checks.columns(each.row for each in found)
    for each in found:
        value = stored.get(each.key)
        claim = shape.claim(value, each.row) if value is not None else None
        there = theirs.get(each.name)
        each.columns = [UNKNOWN] if claim is None or there is None else _names(shape, claim, there)


def _names(shape: Shape, claim: Held, theirs: Sequence[str | None]) -> list[str]:
    return [
        column.name
        for column, here, there in zip(shape.table.columns, shape.texts(claim), theirs, strict=True)
        if here != there and not (column.type in DOCUMENTS and _same_document(here, there))
    ]


def _same_document(here: str | None, there: str | None) -> bool:
    return here is not None and there is not None and bool(json.loads(here) == json.loads(there))
