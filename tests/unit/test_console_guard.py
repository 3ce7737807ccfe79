"""Who may do what in the console: sessions, roles, posts from elsewhere, and what every answer carries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from streams.console import memory, serve
from streams.console.port import Desk
from streams.console.session import person
from streams.errors import EnvironmentFault, InvalidInput
from streams.settings import Settings
from tests.console import HERE, OURS, Somebody, chosen, signed_in

ACTS = {
    "/findings/say": ("viewer", "operator"),
    "/findings/preview": ("viewer", "operator"),
    "/providers/reveal": ("viewer", "operator"),
    "/proposals/1/say": ("viewer", "operator"),
    "/proposals/1/comment": ("viewer", "operator"),
    "/quarantine/preview": ("viewer", "steward"),
    "/quarantine/apply": ("viewer", "steward"),
}
"""Every unsafe path -> roles that may not."""
EVERYWHERE = "0.0.0.0"  # noqa: S104
FILLED = {"do": "assign", "to": "pat", "reason": "r", "decision": "approve", "seen": "s", "entity": "e", "place": "p",
    "expected": "1", "body": "b", "chosen": "x"}  # fmt: skip


@pytest.fixture
def desk() -> Desk:
    return memory.desk(5)


@pytest.fixture
def pat(desk: Desk) -> Iterator[Somebody]:
    with signed_in(desk, "admin") as found:
        yield found


def test_every_unsafe_path_is_in_this_table(pat: Somebody) -> None:
    unsafe = {r.path for r in _routes(pat.client.app) if r.methods - {"GET", "HEAD"}} - {"/login", "/logout"}
    assert {path.replace("{number}", "1") for path in unsafe} == set(ACTS)


@pytest.mark.parametrize(("path", "role"), [(path, role) for path, roles in ACTS.items() for role in roles])
def test_a_role_that_may_not_is_refused_and_nothing_is_done(desk: Desk, path: str, role: str) -> None:
    with signed_in(desk, role) as somebody:
        text = somebody.post(path, FILLED, 403)
    assert f"your role ({role}) may not do this" in text.lower()
    assert "Nothing was done" in text
    assert desk.audit.entries("", 10) == []


@pytest.mark.parametrize("path", ["/findings/say", "/providers/reveal", "/quarantine/apply"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": HERE},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "none"},
        {},
    ],
)
def test_a_post_from_another_page_is_refused(
    desk: Desk, pat: Somebody, path: str, headers: dict[str, str]
) -> None:
    text = pat.post(path, FILLED, 403, headers)
    assert "not sent from a page of the console" in text
    assert desk.audit.entries("", 10) == []


def test_a_login_from_another_page_is_refused(desk: Desk) -> None:
    with signed_in(desk, "") as nobody:
        nobody.post("/login", {"who": "pat", "role": "admin"}, 403, {"Sec-Fetch-Site": "cross-site"})


@pytest.mark.parametrize(
    "path", ["/", "/findings", "/providers", "/proposals", "/quarantine", "/audit", "/events/overview"]
)
def test_who_is_not_signed_in_is_led_to_the_login(desk: Desk, path: str) -> None:
    with signed_in(desk, "") as nobody:
        answer = nobody.client.get(path, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")


def test_a_post_without_a_session_is_refused(desk: Desk) -> None:
    with signed_in(desk, "") as nobody:
        assert "signed out" in nobody.post("/findings/say", FILLED, 401)


def test_a_forged_session_is_nobodys(desk: Desk, pat: Somebody) -> None:
    [cookie] = pat.client.cookies.jar
    value = str(cookie.value)
    signed, signature = value.rsplit(".", 1)
    # Its first character, not its last: of that, base64 leaves two bits unread, and another may mean the same.
    other = ("b" if signature[0] == "a" else "a") + signature[1:]
    for forged in (f"{signed}.{other}", "e30=.x.y", "nonsense", value[1:]):
        pat.client.cookies.clear()
        pat.client.cookies.set("concord", forged)
        assert pat.client.get("/", follow_redirects=False).headers["location"] == "/login"
        assert "signed out" in pat.post("/findings/say", FILLED, 401)


def test_a_session_of_another_console_is_nobodys(desk: Desk, pat: Somebody) -> None:
    with signed_in(desk, "") as nobody:
        nobody.client.cookies.set("concord", str(next(iter(pat.client.cookies.jar)).value))
        assert nobody.client.get("/", follow_redirects=False).status_code == 303


def test_the_session_cookie_is_kept_from_scripts_and_other_sites(desk: Desk) -> None:
    with signed_in(desk, "") as nobody:
        answer = nobody.client.post(
            "/login", data={"who": "pat", "role": "viewer"}, headers=OURS, follow_redirects=False
        )
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie


def test_signing_out_ends_the_session(pat: Somebody) -> None:
    pat.post("/logout", {})
    assert pat.client.get("/", follow_redirects=False).status_code == 303


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", ""])
def test_under_another_name_nothing_is_answered(pat: Somebody, host: str) -> None:
    assert pat.client.get("/", headers={"Host": host}).status_code in (400, 403)


def test_every_answer_forbids_inline_script_and_frames(pat: Somebody) -> None:
    for path in ("/", "/nowhere", "/static/console.css", "/login"):
        policy = pat.client.get(path).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy


def test_no_page_is_kept_by_a_browser(pat: Somebody) -> None:
    assert pat.client.get("/findings").headers["cache-control"] == "no-store"


def test_roles_and_signing_come_from_groups() -> None:
    found = person("pat", ["staff", "concord.steward", "concord.sign.billing_lead"])
    assert found is not None
    assert (found.roles, found.signs) == (frozenset({"steward"}), ("data_steward", "billing_lead"))
    assert person("pat", ["staff", "concord.sign.compliance"]) is None
    assert person(" ", ["concord.admin"]) is None


@pytest.mark.parametrize(
    ("host", "url"), [(EVERYWHERE, ""), ("192.0.2.1", ""), ("127.0.0.1", "https://console.example")]
)
def test_the_development_login_is_never_reached_from_elsewhere(host: str, url: str) -> None:
    with pytest.raises(EnvironmentFault, match="development login"):
        serve.check(Settings(console_url=url), host)


def test_an_identity_provider_is_asked_over_https_only() -> None:
    known = Settings(
        oidc_issuer="http://login.example",
        oidc_client_id="c",
        oidc_client_secret=SecretStr("s"),
        console_url="https://c.example",
    )
    with pytest.raises(InvalidInput, match="neither https"):
        serve.check(known, EVERYWHERE)
    serve.check(known.model_copy(update={"oidc_issuer": "https://login.example"}), EVERYWHERE)


def test_an_act_whose_audit_entry_fails_does_not_happen() -> None:
    desk = memory.desk(5, memory.Audit(refuses=True))
    with signed_in(desk, "admin") as pat:
        first = chosen(pat.get("/findings"))[:1]
        text = pat.post(
            "/findings/say", {"do": "assign", "to": "pat", "reason": "mine", "chosen": first}, 503
        )
    assert "nothing was done" in text.lower()
    assert desk.worklist.sums().assigned == 0


def _routes(app: Any) -> list[Any]:
    found = []
    for route in app.routes:
        inner = getattr(route, "original_router", None) or getattr(route, "router", None)
        found += [r for r in (inner.routes if inner is not None else [route]) if getattr(r, "methods", None)]
    return found
