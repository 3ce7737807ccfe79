"""`concord pause`, `resume` and `reassert` on the whole platform: nothing lost, nobody alarmed, and sent once more."""

from __future__ import annotations

import os
import signal
from typing import Any

from streams.operate import announced
from tests.fixtures.platform import Platform
from tests.fixtures.waiting import wait_until

NAMES = "select last_name from dir_provider where npi_number = %s"


def hop(platform: Platform, system: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = platform.ask("status")["adapters"]
    return next(each for each in found if each["name"] == system)


def named(platform: Platform, npi: str) -> list[tuple[Any, ...]]:
    return platform.rows("directory", NAMES, npi)


def pids(platform: Platform) -> set[int]:
    return {a.party.pid for a in announced.answering(platform.settings, "adapter/directory")}


def test_a_paused_system_is_left_alone_over_a_restart_and_gets_everything_afterwards(
    platform: Platform,
) -> None:
    platform.ask("load", "generated", "--count", "12", "--seed", "7")
    [(npi,), *_] = wait_until(
        lambda: platform.rows("directory", "select npi_number from dir_provider order by 1"),
        90,
        what="the directory",
    )
    wait_until(platform.quiet, 90, what="everything to be applied")

    told = platform.ask("pause", "directory", "--reason", "upgrade", "--by", "jo")
    assert (told["changed"], told["effective"], told["paused"]["by"]) == (True, True, "jo")
    assert (
        platform.ask("pause", "directory", "--reason", "another", "--by", "al")["paused"]["reason"]
        == "upgrade"
    )

    platform.write(f"update provider set last_name = 'Quillfeather' where npi = '{npi}'")
    wait_until(lambda: (hop(platform, "directory")["lag_records"] or 0) > 0, 60, what="a view that waits")
    before = pids(platform)
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: (now := pids(platform)) and not now & before, 60, what="the adapter started again")

    found = hop(platform, "directory")
    assert found["why"].startswith("paused since ")
    assert "by jo: upgrade" in found["why"]
    assert found["state"] == "lagging"
    assert named(platform, npi) != [("Quillfeather",)]
    assert platform.ask("findings", "--code", "target.paused")["total"] == 0
    [shown] = platform.ask("parity", "--system", "directory")["systems"]
    assert (shown["paused"]["reason"], shown["unexplained"]) == ("upgrade", 0)

    assert platform.ask("resume", "directory")["effective"]
    assert platform.ask("resume", "directory")["changed"] is False
    wait_until(lambda: named(platform, npi) == [("Quillfeather",)], 60, what="the view that waited")
    assert hop(platform, "directory")["why"] == ""


def test_views_are_sent_again_under_a_new_revision_and_confirmed(platform: Platform) -> None:
    wait_until(platform.quiet, 90, what="everything to be applied")
    [(npi,), *_] = platform.rows("directory", "select npi_number from dir_provider order by 1")
    [said] = platform.ask("reassert", npi, "--system", "directory")
    assert said["applied"] is False
    [(name, before)] = said["views"].items()
    assert platform.ask("reassert", npi, "--system", "directory")[0]["views"] == {name: before}

    [done] = platform.ask(
        "reassert", npi, "--system", "directory", "--apply", "--reason", "restored", "--by", "jo"
    )
    assert (done["applied"], done["left"]) == (True, [])
    [again] = platform.ask("reassert", npi, "--system", "directory")
    assert again["views"][name] > before
