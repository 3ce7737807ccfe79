"""What a system behind an API is told by the environment, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streams import settings as configuration
from streams.errors import InvalidInput
from streams.settings import Settings

Known = Callable[..., Settings]
ADAPTER = "CONCORD_ADAPTER_DIRECTORY"
TOLD = {
    ADAPTER: "https://directory.example/api",
    f"{ADAPTER}_TOKEN_URL": "https://login.example/token",
    f"{ADAPTER}_CLIENT_ID": "concord",
    f"{ADAPTER}_CLIENT_SECRET": "hidden-value",
}


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Iterator[Known]:
    def load(**more: str) -> Settings:
        for name, value in {**TOLD, **more}.items():
            monkeypatch.setenv(name, value)
        configuration.load.cache_clear()
        return configuration.load()

    yield load
    configuration.load.cache_clear()


def test_an_address_that_is_a_url_puts_the_system_behind_an_api(known: Known) -> None:
    found = known(CONCORD_ADAPTER_BILLING="postgresql://adapter@127.0.0.1/billing")
    assert found.apis.keys() == {"directory"}
    assert found.apis["directory"].secret() == "hidden-value"


def test_the_secret_is_never_shown(known: Known) -> None:
    assert "hidden-value" not in f"{known()!r}{known().apis!r}{known().apis['directory']}"


def test_a_secret_file_is_read_each_time(known: Known, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("first\n")
    api = known(**{f"{ADAPTER}_CLIENT_SECRET": "", f"{ADAPTER}_CLIENT_SECRET_FILE": str(file)}).apis[
        "directory"
    ]
    assert api.secret() == "first"
    file.write_text("second\n")
    assert api.secret() == "second"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({ADAPTER: "http://directory.example/api"}, "CONCORD_ADAPTER_DIRECTORY: "),
        ({f"{ADAPTER}_TOKEN_URL": "http://login.example"}, "CONCORD_ADAPTER_DIRECTORY_TOKEN_URL: "),
        ({f"{ADAPTER}_CLIENT_SECRET": ""}, "CLIENT_SECRET_FILE"),
        ({f"{ADAPTER}_CLIENT_SECRET_FILE": "x"}, "CLIENT_SECRET_FILE"),
        ({f"{ADAPTER}_RATE": "0"}, "CONCORD_ADAPTER_DIRECTORY_RATE"),
        ({f"{ADAPTER}_CLIENT_IDD": "x"}, "CONCORD_ADAPTER_DIRECTORY_CLIENT_IDD"),
    ],
)
def test_what_is_wrong_is_named_and_no_secret_told(known: Known, wrong: dict[str, str], says: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        known(**wrong)
    assert says in refused.value.message
    assert "hidden-value" not in str(refused.value)


@pytest.mark.parametrize(
    ("rate", "timeout", "batch"), [("0.01", "10", 2), ("20", "10", 48), ("1000", "1", 100)]
)
def test_a_slow_api_gets_small_batches(known: Known, rate: str, timeout: str, batch: int) -> None:
    """A member that is silent for five minutes loses its partitions in the middle of its work."""
    api = known(**{f"{ADAPTER}_RATE": rate, f"{ADAPTER}_TIMEOUT_S": timeout}).apis["directory"]
    assert api.batch == batch


def test_a_system_that_takes_files_has_no_adapter_and_one_that_nobody_captures_is_known(known: Known) -> None:
    found = known(
        CONCORD_ADAPTER_BILLING="files", CONCORD_RUNNING_SOURCES="credentialing,enrollment,stewardship"
    )
    assert found.files == {"billing"}
    assert found.uncaptured == {"billing", "directory"}
    assert "billing" not in found.adapters
