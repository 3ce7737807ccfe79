"""The console in a real browser: by keyboard alone, without serious axe findings, without layout shift, and its acts.

Over the ports in memory, so that a browser is all it takes; what the acts do in the stewardship database is tested in
test_console_stewardship.py.
"""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from streams.console import app, memory, sample, serve
from streams.console.port import Desk
from streams.operate.worklist.case import Wanted
from streams.settings import Settings
from tests.fixtures.waiting import wait_until

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

PHONE, DESK = (390, 844), (1280, 900)
ANN = f"/providers/provider/{sample.ANN}"
PAGES = ("/", "/findings", ANN, f"{ANN}/trace", "/proposals", "/quarantine", "/audit")
SHIFTS = """
window.__shift = 0;
new PerformanceObserver((list) => { for (const e of list.getEntries()) window.__shift += e.value; })
    .observe({ type: "layout-shift", buffered: true });
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium is on this machine")
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def desk() -> Desk:
    return memory.desk(60)


@pytest.fixture
def url(desk: Desk) -> Iterator[str]:
    """The console on a port of its own."""
    listening = serve.listen("127.0.0.1", 0)
    config = uvicorn.Config(
        app.create(desk, Settings()),
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
        ws="none",
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    wait_until(lambda: server.started, alive=thread.is_alive, what="the console")
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)
    listening.close()


def enter(
    chromium: Any, url: str, role: str, who: str = "pat", size: tuple[int, int] = DESK, signs: str = ""
) -> Any:
    """A signed-in page of a browser of its own."""
    context = chromium.new_context(viewport={"width": size[0], "height": size[1]})
    context.add_init_script(SHIFTS)
    page = context.new_page()
    page.goto(f"{url}/login")
    page.fill("input[name=who]", who)
    page.check(f"input[value={role}]")
    if signs:
        page.select_option("select[name=signs]", signs)
    page.click("button.primary")
    page.wait_for_url(f"{url}/")
    return page


def press_to(page: Any, text: str, most: int = 80) -> None:
    """Tab until what has the focus reads so."""
    for _ in range(most):
        page.keyboard.press("Tab")
        said = page.evaluate(
            "() => { const e = document.activeElement; return [e.innerText, e.getAttribute('aria-label'), e.name].join(' ') }"
        )
        if text in said:
            return
    pytest.fail(f"no Tab led to {text!r}")


def test_a_finding_is_assigned_by_keyboard_alone(chromium: Any, url: str, desk: Desk) -> None:
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(f"{url}/login")
    page.keyboard.type("pat")  # the first field has the focus
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")  # viewer, operator, steward
    page.keyboard.press("Enter")
    page.wait_for_url(f"{url}/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "Skip to the content"
    press_to(page, "Findings")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{url}/findings")
    press_to(page, "Choose ")
    page.keyboard.press("Space")
    press_to_back(page, "Act on the chosen")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{url}/findings/preview")
    press_to(page, "reason")
    page.keyboard.type("I know the clinic")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector(".note.done")
    assert "1 finding assigned to pat" in page.inner_text(".note.done")
    assert desk.worklist.page(Wanted("mine", "pat")).total == 1
    context.close()


def press_to_back(page: Any, text: str) -> None:
    """The same, backwards."""
    for _ in range(20):
        page.keyboard.press("Shift+Tab")
        if text in page.evaluate("document.activeElement.innerText"):
            return
    pytest.fail(f"no Shift+Tab led to {text!r}")


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_every_page_holds_still_fits_and_has_no_serious_axe_finding(
    chromium: Any, url: str, desk: Desk, size: tuple[int, int]
) -> None:
    from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]

    page = enter(chromium, url, "admin", size=size)
    case = desk.worklist.page(Wanted(entity=f"provider/{sample.ANN}")).cases[0]
    number = desk.proposals.listed(everything=False)[0]["proposal_id"]
    problems, said = [], []
    page.on("console", lambda message: said.append(message.text))
    for path in (*PAGES, f"/findings/{case.id}", f"/proposals/{number}"):
        page.goto(url + path)
        page.wait_for_load_state("load")
        shift = page.evaluate("() => new Promise(done => requestAnimationFrame(() => done(window.__shift)))")
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        problems += [f"{path}: shifts by {shift}"] if shift > 0.01 else []
        problems += [f"{path}: {wide} px too wide"] if wide > 0 else []
        problems += [f"{path}: {found}" for found in serious(Axe().run(page))]
    assert problems == []
    assert said == []  # nothing that the content security policy had to stop
    page.context.close()


def serious(results: Any) -> list[str]:
    return [
        f"{found['id']} {[node['target'] for node in found['nodes']][:3]}"
        for found in results.response["violations"]
        if found["impact"] in ("serious", "critical")
    ]


def test_dark_and_light_have_enough_contrast(chromium: Any, url: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = enter(chromium, url, "admin")
    page.emulate_media(color_scheme="dark")
    for path in ("/", "/findings", ANN):
        page.goto(url + path)
        assert serious(Axe().run(page)) == []
    page.context.close()


def test_the_overview_is_told_news_without_being_loaded_again(chromium: Any, url: str, desk: Desk) -> None:
    from dataclasses import replace

    page = enter(chromium, url, "viewer")
    page.wait_for_selector("text=3 of 6 are not fresh")
    look = desk.freshness.newest()
    desk.freshness.look = replace(look, number=2, why="Connect does not answer at all")  # type: ignore[attr-defined]
    page.wait_for_selector("text=Connect does not answer at all")
    page.context.close()


def test_four_eyes_in_two_browsers(chromium: Any, url: str, desk: Desk) -> None:
    number = next(r["proposal_id"] for r in desk.proposals.listed(everything=False) if r["level"] == "A2")
    pat = enter(chromium, url, "steward", "pat", signs="credentialing_manager")
    mo = enter(chromium, url, "steward", "mo", signs="credentialing_manager")
    sign(pat, url, number, "data_steward")
    sign(pat, url, number, "credentialing_manager")
    assert "has signed already" in pat.inner_text("main")
    sign(mo, url, number, "credentialing_manager")
    assert "approved as credentialing_manager" in mo.inner_text(".note.done")
    assert desk.proposals.show(int(number))["state"] == "approved"
    for page in (pat, mo):
        page.context.close()


def sign(page: Any, url: str, number: int, role: str) -> None:
    page.goto(f"{url}/proposals/{number}")
    page.check("input[name=decision][value=approve]")
    page.select_option("select[name=role]", role)
    page.fill("form[action$='/say'] textarea[name=reason]", "papers seen")
    page.click("text=Say so")
    page.wait_for_load_state()


def test_a_form_of_another_site_is_refused(chromium: Any, url: str, desk: Desk) -> None:
    page = enter(chromium, url, "admin")
    box = desk.worklist.page(Wanted()).cases[0]
    form = (
        f"<form method='post' action='{url}/findings/say'><input name='chosen' value='{box.id} {box.seen}'>"
        "<input name='do' value='assign'><input name='to' value='eve'><input name='reason' value='x'>"
        "<button>Win</button></form>"
    )
    page.route("http://evil.test/", lambda route: route.fulfill(body=form, content_type="text/html"))
    page.goto("http://evil.test/")
    page.click("text=Win")
    page.wait_for_load_state()
    assert "signed out" in page.inner_text("main") or "not sent from a page" in page.inner_text("main")
    assert desk.worklist.sums().assigned == 0
    page.context.close()


def test_a_viewer_is_offered_nothing_and_refused_all_the_same(chromium: Any, url: str, desk: Desk) -> None:
    page = enter(chromium, url, "viewer")
    page.goto(f"{url}/findings")
    assert page.locator("input[name=chosen]").count() == 0
    status = page.evaluate("async () => (await fetch('/findings/preview', {method: 'POST'})).status")
    assert status == 403
    page.context.close()


def test_a_masked_value_is_revealed_with_a_reason_that_stands_in_the_audit(
    chromium: Any, url: str, desk: Desk
) -> None:
    page = enter(chromium, url, "steward")
    page.goto(url + ANN)
    assert "1980-01-01" not in page.content()
    page.locator("a.reveal[data-place$='|date_of_birth']").first.click()
    assert page.input_value("select[name=place]").endswith("|date_of_birth")
    page.keyboard.type("the payer asks")  # the link led to the reason
    page.click("text='Reveal'")
    page.wait_for_selector("output")
    assert page.inner_text("output") == "1980-01-01"
    page.goto(f"{url}/audit")
    assert "the payer asks" in page.inner_text("table")
    assert "1980" not in page.inner_text("table")
    page.context.close()


def test_records_are_tried_and_sent_back(chromium: Any, url: str) -> None:
    page = enter(chromium, url, "operator")
    page.goto(f"{url}/quarantine")
    page.check("input[data-all]")
    assert page.locator("input[name=chosen]:checked").count() == 3
    page.fill("textarea", "the mapping knows it now")
    page.click("text=Try it first")
    assert "3 records would be sent back" in page.inner_text("h1")
    page.click("text=Send back 3")
    page.wait_for_selector(".note.done")
    assert re.search("3 records sent back", page.inner_text(".note.done"))
    page.context.close()


def test_everything_works_without_script(chromium: Any, url: str, desk: Desk) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{url}/login")
    page.fill("input[name=who]", "pat")
    page.check("input[value=admin]")
    page.click("button.primary")
    page.goto(f"{url}/findings?severity=high")
    page.check("input[name=chosen] >> nth=0")
    page.click("text=Act on the chosen")
    page.fill("textarea", "mine")
    page.click("text=Do it")
    assert "1 finding assigned to pat" in page.inner_text(".note.done")
    context.close()
