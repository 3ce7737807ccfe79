"""`concord status --watch`: the same answer again and again, refreshed in place, until q or Ctrl-C.

    status --take (a thread)--> newest --view--> rich Live on a terminal      else: its plain text, once a look

Where the output is no terminal nothing is redrawn: each look is told in plain lines. One that fails is told, and the
next is tried: an outage is what is being watched for.
"""

from __future__ import annotations

import os
import select
import sys
import termios
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from streams.cli import show
from streams.errors import ConcordError
from streams.operate import standing
from streams.operate.status import Status

EVERY = 1.0
"""Seconds between two looks."""
KEY_WAIT = 0.2

Key = Callable[[float], str]
"""Waits so many seconds for a key: the key, or nothing."""
_STYLES = {
    standing.CAUGHT_UP: "green",
    standing.LAGGING: "yellow",
    standing.UNKNOWN: "magenta",
    standing.STOPPED: "bold red",
}


def watch(take: Callable[[], Status], console: Console) -> None:
    """Until q or Ctrl-C."""
    with suppress(KeyboardInterrupt):
        if console.is_terminal:
            with keys() as key:
                live(take, console, key)
        else:
            lines(take, console)


def live(take: Callable[[], Status], console: Console, key: Key) -> None:
    """Redrawn in place; a look that takes long keeps neither the screen nor the keys waiting."""
    newest: list[Status | ConcordError] = []
    left = threading.Event()
    threading.Thread(target=_look, args=(take, newest, left), daemon=True).start()
    try:
        with Live(Text("looking ..."), console=console, screen=True, auto_refresh=False) as screen:
            while key(KEY_WAIT) not in ("q", "Q"):
                if newest:
                    screen.update(view(newest.pop()), refresh=True)
    finally:
        left.set()


def _look(take: Callable[[], Status], newest: list[Status | ConcordError], left: threading.Event) -> None:
    while not left.is_set():
        newest[:] = [_taken(take)]
        left.wait(EVERY)


def lines(take: Callable[[], Status], console: Console, rounds: int | None = None) -> None:
    """Plain text, for a file or a pipe."""
    while rounds is None or rounds > 0:
        found = _taken(take)
        said = str(found) if isinstance(found, ConcordError) else show.status_text(found)
        console.print(f"{_clock(time.time())}\n{said}\n", markup=False, highlight=False, soft_wrap=True)
        rounds = rounds and rounds - 1
        if rounds != 0:
            time.sleep(EVERY)


def _taken(take: Callable[[], Status]) -> Status | ConcordError:
    try:
        return take()
    except ConcordError as fault:
        return fault


def view(found: Status | ConcordError) -> Group:
    """The whole screen."""
    if isinstance(found, ConcordError):
        return Group(_head(time.time(), "nobody could look", "bold red"), Text(""), Text(str(found)))
    state, style = ("quiet", "green") if found.quiet else ("at work", "yellow")
    notes = Text("\n".join(show.status_notes(found)))
    return Group(_head(found.at, state, style), Text(""), _hops(found), Text(""), notes)


def _head(at: float, state: str, style: str) -> Text:
    return Text.assemble(
        ("concord ", "bold"), (state, style), f"  {_clock(at)}  ", ("q or Ctrl-C ends", "dim")
    )


def _hops(found: Status) -> Table:
    head, *rows = show.status_rows(found)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in head:
        table.add_column(name, justify="right" if name in ("lag", "oldest", "rate") else "left")
    for name, state, *rest in rows:
        table.add_row(Text(name), Text(state, _STYLES.get(state, "")), *(Text(cell) for cell in rest))
    return table


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


@contextmanager
def keys(stdin: Any = None) -> Iterator[Key]:
    """Keys as they are pressed, without Enter; the terminal is as it was afterwards. Without one, none ever comes."""
    source = sys.stdin if stdin is None else stdin
    if not source.isatty():
        yield _no_key
        return
    before = termios.tcgetattr(source)
    tty.setcbreak(source)
    try:
        yield lambda wait: _pressed(source, wait)
    finally:
        termios.tcsetattr(source, termios.TCSADRAIN, before)


def _pressed(source: Any, wait: float) -> str:
    """Past Python's own buffer, which would keep what is pressed with it."""
    ready, _, _ = select.select([source], [], [], wait)
    return os.read(source.fileno(), 1).decode("ascii", "replace") if ready else ""


def _no_key(wait: float) -> str:
    time.sleep(wait)
    return ""
