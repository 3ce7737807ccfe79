"""The console's files hold nothing that its content security policy forbids, and what is vendored is unchanged."""

from __future__ import annotations

import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from streams.console import render

TEMPLATES = sorted((render.FOLDER / "templates").glob("*.html"))
STATIC = render.FOLDER / "static"


class Tags(HTMLParser):
    """Every tag of a template, and the text of its scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def tags(file: Path) -> list[tuple[str, dict[str, str | None]]]:
    parser = Tags()
    parser.feed(re.sub(r"\{%.*?%\}|\{#.*?#\}", "", file.read_text(), flags=re.DOTALL))
    return parser.found


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: file.name)
def test_a_template_holds_no_inline_script_or_style_and_nothing_from_elsewhere(file: Path) -> None:
    for tag, attributes in tags(file):
        assert tag != "style"
        assert tag != "script" or (attributes.get("src") or "").startswith("/static/")
        assert not [name for name in attributes if name.startswith(("on", "hx-on")) or name == "style"]
        for name in ("src", "href", "action"):
            assert not (attributes.get(name) or "").startswith(("http", "//", "javascript:", "data:")), (
                attributes
            )


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: file.name)
def test_nothing_is_marked_as_safe_in_a_template(file: Path) -> None:
    text = file.read_text()
    assert not re.search(r"\|\s*safe\b|autoescape|Markup", text)


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: file.name)
def test_every_table_has_a_caption_and_its_headings_a_scope(file: Path) -> None:
    found = tags(file)
    count = {name: sum(tag == name for tag, _ in found) for name in ("table", "caption")}
    assert count["table"] == count["caption"]
    assert all("scope" in attributes for tag, attributes in found if tag == "th")


def test_every_static_file_that_a_template_names_is_there() -> None:
    named = {match for file in TEMPLATES for match in re.findall(r'"/static/([^"]+)"', file.read_text())}
    assert named
    assert all((STATIC / name).is_file() for name in named)


def test_what_is_vendored_is_as_its_table_says() -> None:
    sums = dict(
        re.findall(r"^\| (\S+) \| .* \| ([0-9a-f]{64}) \|$", (STATIC / "README.md").read_text(), re.MULTILINE)
    )
    assert len(sums) == 2
    for name, said in sums.items():
        assert hashlib.sha256((STATIC / name).read_bytes()).hexdigest() == said
