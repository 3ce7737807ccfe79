"""What the mappings of today make of a quarantined record: whose row it is, and whether it would be quarantined again.

The same decoders a worker uses, so a record that was quarantined because its table was in no mapping shows its
entity as soon as the mapping has it. Never returns a value of a row, only ids, names and positions.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from schemas.tables import decoders
from streams.core.change import Malformed, position_text
from streams.operate.quarantine.record import Quarantined
from streams.placing import partition_of
from streams.settings import Settings

MISPLACED = "change.partition_wrong"
OURS = "internal."
"""Defects of ours: another version may do better."""
NPI_TOPIC = "claims.npi"
_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9]{10}").fullmatch
"""A key that shows itself to be a master id or an NPI; what else a stranger puts into a key is not repeated."""


class Prospect(NamedTuple):
    """Whose row, as far as it can be read; `still`: the code it would get again, empty where nothing speaks for it."""

    kind: str = ""
    id: str = ""
    record: str = ""
    row: str = ""
    position: str = ""
    still: str = ""


class Prospects:
    """Judges records with the decoders of one installation."""

    def __init__(self, settings: Settings) -> None:
        self._decoders = decoders(settings.sources)
        self._settings = settings

    def system(self, topic: str) -> str:
        """The system a topic belongs to: `cdc.billing` and `claims.billing` -> billing."""
        name = topic.removeprefix(self._settings.topic_prefix)
        return name.removeprefix("cdc.").removeprefix("claims.")

    def of(self, found: Quarantined) -> Prospect:
        """What a worker would make of it now."""
        topic = found.origin.topic.removeprefix(self._settings.topic_prefix)
        if not topic.startswith("cdc."):
            still = "" if found.code.startswith(OURS) else found.code
            return Prospect("npi" if topic == NPI_TOPIC else "", _id(found.key), still=still)
        decoder = self._decoders.get(topic.removeprefix("cdc."))
        if decoder is None:
            return Prospect(id=_id(found.key), still="change.topic_unknown")
        said = decoder.decode(found.key, found.value, [(n, v or b"") for n, v in found.headers])
        still = said.code if isinstance(said, Malformed) else self._misplaced(found)
        position = getattr(said, "position", None)
        return Prospect(
            getattr(said, "kind", ""),
            getattr(said, "entity_id", "") or _id(found.key),
            getattr(said, "record", ""),
            getattr(said, "row_id", ""),
            position_text(position) if position else "",
            still,
        )

    def _misplaced(self, found: Quarantined) -> str:
        home = partition_of(found.key or b"", self._settings.partitions)
        return MISPLACED if found.code == MISPLACED and home != found.origin.partition else ""


def _id(key: bytes | None) -> str:
    text = (key or b"").decode("ascii", "replace")
    return text if _ID(text) else ""
