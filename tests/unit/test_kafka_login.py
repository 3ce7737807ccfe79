"""How clients introduce themselves to the broker, and that none forgets to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.errors import ConcordError
from streams.kafka import broker, faust_login
from streams.settings import kafka_login

PROJECT = Path(__file__).parents[2]
SASL = {"CONCORD_KAFKA_SECURITY": "sasl_ssl", "CONCORD_KAFKA_USER": "concord-decide"}


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    kafka_login.cache_clear()
    yield
    kafka_login.cache_clear()


def told(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def test_without_a_login_a_client_says_its_address_only() -> None:
    assert broker("here:1") == {"bootstrap.servers": "here:1"}
    assert faust_login() is None


def test_a_name_and_its_password_reach_every_client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("s3cret\n")
    told(
        monkeypatch,
        **SASL,
        CONCORD_KAFKA_PASSWORD_FILE=str(secret),
        CONCORD_KAFKA_CA=str(tmp_path / "ca.pem"),
    )
    assert broker("here:1") == {
        "bootstrap.servers": "here:1",
        "security.protocol": "sasl_ssl",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "concord-decide",
        "sasl.password": "s3cret",
        "ssl.ca.location": str(tmp_path / "ca.pem"),
    }


def test_the_worker_introduces_itself_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    told(
        monkeypatch,
        **(SASL | {"CONCORD_KAFKA_SECURITY": "sasl_plaintext", "CONCORD_KAFKA_PASSWORD": "s3cret"}),
    )
    login = faust_login()
    assert login is not None
    assert (login.protocol.value, login.mechanism.value, login.username, login.password) == (
        "SASL_PLAINTEXT",
        "SCRAM-SHA-512",
        "concord-decide",
        "s3cret",
    )


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        (SASL, "CONCORD_KAFKA_PASSWORD"),
        ({"CONCORD_KAFKA_USER": "somebody"}, "CONCORD_KAFKA_SECURITY"),
        ({"CONCORD_KAFKA_SECURITY": "tls"}, "CONCORD_KAFKA_SECURITY"),
        ({"CONCORD_KAFKA_SECURITY": "ssl", "CONCORD_KAFKA_KEY": "key.pem"}, "CONCORD_KAFKA_CERTIFICATE"),
    ],
)
def test_half_a_login_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], named: str
) -> None:
    told(monkeypatch, **variables)
    with pytest.raises(ConcordError, match=named):
        broker("here:1")


def test_a_password_that_cannot_be_read_says_which_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told(monkeypatch, **SASL, CONCORD_KAFKA_PASSWORD_FILE=str(tmp_path / "none"))
    with pytest.raises(ConcordError, match="CONCORD_KAFKA_PASSWORD_FILE"):
        broker("here:1")


def test_a_certificate_that_cannot_be_read_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told(monkeypatch, CONCORD_KAFKA_SECURITY="ssl", CONCORD_KAFKA_CA=str(tmp_path / "none.pem"))
    with pytest.raises(ConcordError, match="CONCORD_KAFKA_CA"):
        faust_login()


def test_the_password_is_in_no_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    told(monkeypatch, **SASL, CONCORD_KAFKA_PASSWORD="s3cret")
    assert "s3cret" not in repr(kafka_login())


def test_no_client_names_a_broker_by_itself() -> None:
    known = re.compile(r"[\"']bootstrap[._]servers[\"']|bootstrap_servers=")
    named = {
        path.relative_to(PROJECT).as_posix()
        for package in ("streams", "connectors")
        for path in (PROJECT / package).rglob("*.py")
        if known.search(path.read_text())
    }
    assert named == {"streams/kafka.py", "streams/engine/fetch.py"}
