"""On which line a key of a TOML text stands: tomllib keeps no lines, and a problem without one is a search.

    text --scan--> Places --> strict, authority_check (where a problem is)

A scanner over lines, not a parser: tomllib decides what the text means. A string over several lines is the one
thing it doesn't follow; our files have none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypeAlias

Path: TypeAlias = tuple[str | int, ...]

_STRING = r'"(?:\\.|[^"\\])*"|\'[^\']*\''
_WORD = rf"(?:[\w-]+|{_STRING})"
_KEY = re.compile(rf"\s*({_WORD}(?:\s*\.\s*{_WORD})*)\s*=(.*)")
_TABLE = re.compile(rf"\s*(\[\[?)\s*({_WORD}(?:\s*\.\s*{_WORD})*)\s*\]\]?\s*$")
_INLINE = re.compile(rf"[{{,]\s*({_WORD})\s*=")
_SPOKEN = re.compile(rf"({_STRING})|#.*")


class Places:
    """Line of each key and table. `twice`: what is said a second time, as (path, first line, second line)."""

    def __init__(self, text: str) -> None:
        self.twice: list[tuple[Path, int, int]] = []
        self._text = text.splitlines()
        self._lines: dict[Path, int] = {}
        self._ends: dict[Path, int] = {}
        self._counts: dict[Path, int] = {}
        self._scan()

    def of(self, path: Path) -> int:
        """The line of `path`, or of the nearest that holds it; 1 for the file."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)

    def words(self, path: Path, word: str) -> list[int]:
        """The lines where the value of `path` has this text as an element."""
        start = self.of(path)
        lines = range(start, self._ends.get(path, start) + 1)
        quoted = re.compile(rf"[\"']{re.escape(word)}[\"']")
        return [n for n in lines for _ in quoted.findall(_bare(self._text[n - 1]))] or [start]

    def _scan(self) -> None:
        table: Path = ()
        open_in: tuple[Path, int] | None = (
            None  # a value that goes on: its key, and how many brackets are open
        )
        for number, line in enumerate(map(_bare, self._text), 1):
            if open_in is not None:
                path, depth = open_in
                self._ends[path] = number
                depth += _depth(line)
                open_in = (path, depth) if depth > 0 else None
            elif found := _TABLE.match(line):
                table = self._table(found[1] == "[[", _parts(found[2]), number)
            elif found := _KEY.match(line):
                path = (*table, *_parts(found[1]))
                self._key(path, found[2], number)
                open_in = (path, _depth(found[2])) if _depth(found[2]) > 0 else None

    def _table(self, is_array: bool, parts: Path, number: int) -> Path:
        path = self._indexed(parts[:-1]) + parts[-1:]
        if is_array:
            self._counts[path] = self._counts.get(path, -1) + 1
            path = (*path, self._counts[path])
        self._say(path, number)
        return path

    def _indexed(self, parts: Path) -> Path:
        """A table below an array of tables belongs to the array's last one."""
        path: Path = ()
        for part in parts:
            path = (*path, part)
            if path in self._counts:
                path = (*path, self._counts[path])
        return path

    def _key(self, path: Path, value: str, number: int) -> None:
        self._say(path, number)
        for name in _INLINE.findall(value) if value.lstrip().startswith("{") else ():
            self._say((*path, *_parts(name)), number)

    def _say(self, path: Path, number: int) -> None:
        if path in self._lines:
            self.twice.append((path, self._lines[path], number))
        self._lines.setdefault(path, number)
        self._ends.setdefault(path, number)


def _bare(line: str) -> str:
    """The line without its comment."""
    return _SPOKEN.sub(lambda found: found[1] or "", line)


def _parts(key: str) -> Path:
    return tuple(_unquoted(key))


def _unquoted(key: str) -> Iterator[str]:
    for word in re.findall(_WORD, key):
        yield word[1:-1] if word[0] in "\"'" else word


def _depth(value: str) -> int:
    bare = re.sub(_STRING, "", value)
    return sum(bare.count(b) for b in "[{") - sum(bare.count(b) for b in "]}")
