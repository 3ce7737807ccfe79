"""Where a stack keeps its files, and what it says when the account PostgreSQL runs as cannot get there."""

from __future__ import annotations

from pathlib import Path

import pytest

from stack import environment, java, layout, state, versions
from stack.layout import Account
from streams.errors import EnvironmentFault

SOMEBODY = Account(uid=64_321, gid=64_321)


def test_two_clones_have_two_states() -> None:
    for root in (True, False):
        first, second = (layout.default_state(root, Path(clone)) for clone in ("/srv/a", "/srv/b"))
        assert first != second


def test_a_user_keeps_the_state_inside_the_project_and_root_outside_of_it() -> None:
    assert layout.default_state(False, Path("/srv/a")) == Path("/srv/a/.concord/stack")
    assert layout.default_state(True, Path("/srv/a")).is_relative_to("/var/lib/concord")


def test_the_variables_win() -> None:
    found = layout.current({"CONCORD_CACHE": "/srv/cache", "CONCORD_STATE": "/srv/state"}, root=False)
    assert (found.cache, found.state, found.account) == (Path("/srv/cache"), Path("/srv/state"), None)


def test_root_gives_postgres_an_account_that_is_not_root() -> None:
    account = layout.current({}, root=True).account
    assert account is not None
    assert account.uid != 0


def test_a_folder_closed_to_the_account_is_named_with_the_way_out(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    tmp_path.chmod(0o755)
    with pytest.raises(EnvironmentFault, match=r"closed to the account") as refused:
        layout.ensure_reachable(closed / "state", SOMEBODY)
    assert "chmod o+x" in refused.value.next_step
    assert refused.value.exit_code == 3


@pytest.mark.parametrize(
    ("system", "machine", "expected"),
    [
        ("Linux", "x86_64", "linux-amd64"),
        ("Linux", "aarch64", "linux-arm64v8"),
        ("Darwin", "arm64", "darwin-arm64v8"),
        ("Darwin", "x86_64", "darwin-amd64"),
    ],
)
def test_the_platform_is_told_in_mavens_words(system: str, machine: str, expected: str) -> None:
    assert layout.maven_platform(system, machine) == expected


def test_an_unknown_platform_is_told_what_to_do_instead() -> None:
    with pytest.raises(EnvironmentFault, match="windows"):
        layout.maven_platform("Windows", "AMD64")


def test_the_cache_key_names_every_version() -> None:
    pinned = versions.pinned()
    key = pinned.cache_key("linux-amd64")
    for version in (
        pinned.kafka,
        pinned.debezium,
        pinned.registry,
        pinned.postgres,
        pinned.log4j,
        "linux-amd64",
    ):
        assert version in key


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ('openjdk version "25.0.2" 2026-01-20', 25),
        ('openjdk version "21" 2023-09-19', 21),
        ('java version "1.8.0_391"', 1),
        ("command not found", 0),
    ],
)
def test_javas_version_is_read_from_what_it_prints(printed: str, expected: int) -> None:
    assert java.major(printed) == expected


def test_an_external_stack_needs_every_address() -> None:
    complete = {name: f"value of {name}" for name in environment.REQUIRED}
    assert environment.from_variables(complete) is not None
    for name in environment.REQUIRED:
        assert environment.from_variables({**complete, name: ""}) is None, name


def test_the_variables_of_an_environment_describe_it_fully() -> None:
    complete = {name: f"value of {name}" for name in environment.REQUIRED}
    found = environment.from_variables(complete)
    assert found is not None
    assert found.variables() == complete


def test_no_password_shows_when_an_environment_is_printed() -> None:
    found = environment.from_variables({name: f"value of {name}" for name in environment.REQUIRED})
    assert "CONCORD_KAFKA" in repr(found)
    for secret in ("CONCORD_POSTGRES", "CONCORD_DATABASE", "CONCORD_CAPTURE_BILLING", "CONCORD_ADAPTER"):
        assert secret not in repr(found)


def test_a_system_added_since_the_last_start_has_no_role_to_enter_by_until_the_next(tmp_path: Path) -> None:
    passwords = {role: "drawn" for role in state.ROLES if role != "concord_adapter_billing"}
    known = state.State(dict.fromkeys(("postgres", "kafka", "registry", "connect"), 1), passwords)
    found = environment.of_state(known, tmp_path)
    assert found.databases.keys() - found.adapters.keys() == {"billing"}
