"""What is wrong with a file somebody wrote: code, place, what, why, and the cure.

    file --strict, authority_check--> problems --> `concord authority check`, or a worker that refuses to start

Never a problem of data: those are findings (streams.core.finding) and quarantined records.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NoReturn

from streams.errors import InvalidInput

TOLD = 50
"""Problems an error names; the check command names all of them."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `warning`: worth saying, but the file is used as it is."""

    code: str
    where: str
    what: str
    why: str
    fix: str
    warning: bool = False


def nearest(name: str, known: Iterable[str]) -> str:
    """What to write instead of an unknown name: the most similar one, else all there are."""
    names = sorted(known)
    close = get_close_matches(name, names, n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'?" if close else f"use one of: {', '.join(names)}"


def refuse(problems: Sequence[Problem]) -> NoReturn:
    """Stop with the first few of them."""
    lines = [f"{p.where}: {p.what}; {p.fix}" for p in problems[:TOLD]]
    more = [f"and {len(problems) - TOLD} more"] if len(problems) > TOLD else []
    raise InvalidInput(problems[0].code, "\n".join([*lines, *more]), problems[0].fix)
