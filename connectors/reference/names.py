"""Names as screening compares them. Pure; exact after folding, never phonetic: a person judges what is only alike."""

from __future__ import annotations

import unicodedata
from functools import lru_cache


@lru_cache(65_536)
def folded(name: str | None) -> str:
    """`O'Brien-Núñez` -> OBRIENNUNEZ."""
    plain = unicodedata.normalize("NFKD", name or "")
    return "".join(letter for letter in plain.upper() if letter.isalnum() and letter.isascii())
