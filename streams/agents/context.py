"""What the partitions of a worker share, and the one thing they pass around: a decision to make.

Beside the decide hop's modules, which all read it; holds nothing of a partition's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from streams import codec
from streams.core.authority import Authority
from streams.core.decode import Decoder
from streams.engine.pending import Heard
from streams.engine.references import References


@dataclass(frozen=True, slots=True)
class Context:
    """What all partitions of a worker share."""

    prefix: str
    partitions: int
    decoders: Mapping[str, Decoder]
    authority: Authority
    encoders: codec.Encoders
    references: References
    rules: str
    places: Callable[[bytes], int]
    """key -> the partition Connect would give it"""
    linger_ms: float = 20.0
    withdraw_linger_ms: float = 2_000.0
    accept: bool = False
    """decide under `rules` whatever a partition was decided under: a roll-back, or edited files while developing"""
    heard: Heard = field(default_factory=Heard)
    withdraw_share: float = 0.05
    """a tick that would withdraw more than this share of all providers ..."""
    withdraw_least: int = 25
    """... and at least this many stops and asks"""


@dataclass(slots=True)
class Item:
    """One decision to make."""

    key: bytes
    proven: bool
    sweep: bool = False
    """not dirty by itself: a reference or the rules changed"""
    mark: tuple[int, int] | None = None
    """(reference partition, offset) that is dealt with once this item is decided"""
    rules: str | None = None
    """the rules' version every entity is decided under once this item is"""
    anew: bool = False
    """topic `reference` has lost what it was told of this entity"""
    topic: str = ""
    """the id of topic `reference`, which knows every entity again once this item is decided"""
    due: str = ""
    """the date under which the store's index holds it as due by time alone"""
    proposed: str = ""
    """the proposed date under which it is only looked at: nothing of the decision is kept"""
