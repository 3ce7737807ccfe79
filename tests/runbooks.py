"""What a runbook (docs/runbooks) says to do: its commands and its SQL, as somebody with nothing but the page has them."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path


def commands(text: str) -> set[str]:
    """Every `concord ...` of a page: in code spans, and in code blocks up to where the words about it begin."""
    blocks = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    spans = re.findall(r"`([^`\n]+)`", text)
    found = (re.split(r"\s{2,}", piece)[0] for piece in [*blocks, *spans])
    return {piece for piece in found if piece.startswith("concord ")}


@dataclass(frozen=True, slots=True)
class Runbook:
    """A page."""

    path: Path

    @property
    def text(self) -> str:
        return self.path.read_text()

    def command(self, begins: str, **filled: str) -> list[str]:
        """The arguments of the one command that begins so, its words in capitals filled in."""
        found = [shlex.split(each) for each in sorted(commands(self.text)) if each.startswith(begins)]
        assert len(found) == 1, f"{self.path.name} has {len(found)} of {begins!r}"
        return [filled.get(word, word) for word in found[0][1:]]

    def sql(self, begins: str, **filled: str) -> str:
        """The one statement that begins so, its words in capitals filled in."""
        blocks = [each for each in self.text.split("\n\n") if each.startswith("    ")]
        found = [each.strip() for block in blocks for each in block.split(";")]
        found = [each for each in found if each.startswith(begins)]
        assert len(found) == 1, f"{self.path.name} has {len(found)} of {begins!r}"
        return re.sub(r"[A-Z]{3,}", lambda word: filled.get(word[0], word[0]), found[0])
