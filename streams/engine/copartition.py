"""Partition p of every topic on one worker: what one store and one producer a partition number rests on.

Faust's assignor does it for topics with equal partition counts (design, section 5). This checks what the
group coordinator actually handed out, because a missing topic or a wrong partition count shows only there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from faust.types import TP

from streams.errors import EnvironmentFault


def check_copartitioned(topics: frozenset[str], assigned: Iterable[TP]) -> None:
    """Each partition number came with all topics; a worker that got nothing is fine."""
    if missing := _missing(topics, assigned):
        partition, names = min(missing.items())
        raise EnvironmentFault(
            "transport.copartition",
            f"partition {partition} came without {', '.join(sorted(names))}",
            "create the topics with one partition count: concord topics plan",
        )


def _missing(topics: frozenset[str], assigned: Iterable[TP]) -> Mapping[int, frozenset[str]]:
    held: defaultdict[int, set[str]] = defaultdict(set)
    for tp in assigned:
        held[tp.partition].add(tp.topic)
    return {number: topics - names for number, names in held.items() if topics - names}
