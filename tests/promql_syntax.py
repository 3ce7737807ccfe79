"""How PromQL is written, as far as ops/alerts.yml uses it: text to tree. What it doesn't know it refuses.

expression --parsed--> Node --evaluated--> tests/promql.py
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
TOKEN = re.compile(
    r"""\s*(?:(?P<duration>\d+[smhd]\b)|(?P<number>\d+(?:\.\d+)?(?:e[+-]?\d+)?)|(?P<text>"(?:[^"\\]|\\.)*")
    |(?P<word>[A-Za-z_:][\w:]*)|(?P<sign>=~|!~|!=|==|>=|<=|[-+*/<>=(){}\[\],]))""",
    re.X,
)
LEVELS = (("or",), ("and", "unless"), ("==", "!=", "<=", "<", ">=", ">"), ("+", "-"), ("*", "/"))
AGGREGATES = ("max", "min", "sum", "count")


@dataclass(frozen=True, slots=True)
class Node:
    """A piece of an expression. `on`: the labels a binary one matches by; `by`: those an aggregate keeps."""

    kind: str
    name: str = ""
    parts: tuple[Node, ...] = ()
    number: float = 0.0
    matchers: tuple[tuple[str, str, str], ...] = ()
    on: tuple[str, ...] | None = None
    by: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()


def parsed(expression: str) -> Node:
    """Refuses with ValueError what it doesn't know."""
    reader = _Reader(expression)
    found = reader.binary(0)
    reader.end()
    return found


class _Reader:
    def __init__(self, expression: str) -> None:
        self._tokens = list(_tokens(expression))

    def end(self) -> None:
        if self._tokens:
            raise ValueError(f"what is {self._tokens[0]!r}")

    def _next(self) -> tuple[str, str]:
        return self._tokens[0] if self._tokens else ("end", "")

    def _take(self, *wanted: str) -> str:
        kind, found = self._next()
        if wanted and found not in wanted and kind not in wanted:
            raise ValueError(f"{found!r} where {' or '.join(wanted)} should stand")
        self._tokens.pop(0)
        return found

    def _has(self, wanted: str) -> bool:
        return self._next()[1] == wanted and self._next()[0] != "text"

    def binary(self, level: int) -> Node:
        if level == len(LEVELS):
            return self._unary()
        left = self.binary(level + 1)
        while self._next()[1] in LEVELS[level]:
            name = self._take()
            on = self._names() if self._has("on") and self._take("on") else None
            left = Node("binary", name, (left, self.binary(level + 1)), on=on)
        return left

    def _unary(self) -> Node:
        if self._has("("):
            self._take("(")
            inner = self.binary(0)
            self._take(")")
            return inner
        kind, found = self._next()
        if kind == "number":
            return Node("number", number=float(self._take()))
        if kind != "word":
            raise ValueError(f"what is {found!r}")
        word = self._take()
        if word in AGGREGATES:
            by = self._names() if self._has("by") and self._take("by") else ()
            return Node("aggregate", word, self._arguments()[0], by=by)
        if self._has("("):
            parts, texts = self._arguments()
            return Node("call", word, parts, texts=texts)
        return self._selector(word)

    def _selector(self, name: str) -> Node:
        matchers = [("__name__", "=", name)]
        if self._has("{"):
            self._take("{")
            while not self._has("}"):
                label, sign = self._take("word"), self._take("=", "!=", "=~", "!~")
                matchers.append((label, sign, _text(self._take("text"))))
                if self._has(","):
                    self._take(",")
            self._take("}")
        if not self._has("["):
            return Node("instant", name, matchers=tuple(matchers))
        self._take("[")
        length = self._take("duration")
        self._take("]")
        return Node("range", name, number=seconds(length), matchers=tuple(matchers))

    def _names(self) -> tuple[str, ...]:
        self._take("(")
        found = []
        while not self._has(")"):
            found.append(self._take("word", ","))
        self._take(")")
        return tuple(name for name in found if name != ",")

    def _arguments(self) -> tuple[tuple[Node, ...], tuple[str, ...]]:
        self._take("(")
        parts, texts = [], []
        while not self._has(")"):
            if self._next()[0] == "text":
                texts.append(_text(self._take()))
            else:
                parts.append(self.binary(0))
            if self._has(","):
                self._take(",")
        self._take(")")
        return tuple(parts), tuple(texts)


def _tokens(expression: str) -> Iterable[tuple[str, str]]:
    at, text = 0, expression.rstrip()
    while at < len(text):
        found = TOKEN.match(text, at)
        if found is None:
            raise ValueError(f"what is {text[at:]!r}")
        at = found.end()
        yield str(found.lastgroup), found[str(found.lastgroup)]


def _text(quoted: str) -> str:
    return quoted[1:-1].replace("\\\\", "\\")


def seconds(length: str) -> float:
    """`15m`."""
    return float(length[:-1]) * UNITS[length[-1]]
