"""The pure request builders: a view in each system's own columns and forms."""

import pytest

from connectors.billing import request as billing
from connectors.described import DESCRIBED
from connectors.directory import request as directory
from connectors.enrollment import request as enrollment
from connectors.form import phone10, zip4, zip5
from connectors.sink import KINDS
from tests import views

HERE, THERE = views.entity(1), views.entity(2)


@pytest.mark.parametrize(
    ("postal_code", "five", "four"),
    [("62701-1234", "62701", "1234"), ("627011234", "62701", "1234"), ("62701", "62701", None), (None,) * 3],
)
def test_a_zip_is_split_into_five_and_four(
    postal_code: str | None, five: str | None, four: str | None
) -> None:
    assert (zip5(postal_code), zip4(postal_code)) == (five, four)


def test_a_phone_is_ten_bare_digits() -> None:
    assert phone10("+12175550142") == "2175550142"
    assert phone10(None) is None


def test_a_location_stands_in_the_directory_with_split_zip_and_bare_phone() -> None:
    root = directory.build(views.location("directory", HERE)).root
    assert root is not None
    assert (root["zip5"], root["zip4"], root["phone10"]) == ("62701", "1234", "2175550142")
    assert root["cred_location_ref"] == HERE


def test_a_listing_needs_its_location_and_its_network() -> None:
    request = directory.build(views.provider("directory", THERE, listings=[views.listing(HERE)]))
    assert request.needs == {f"location/{HERE}", views.NETWORK_REF}


def test_a_withdrawn_provider_wants_no_listing_and_waits_for_nothing() -> None:
    view = views.provider("directory", THERE, status="withdrawn", listings=[views.listing(HERE)])
    request = directory.build(view)
    assert (request.children, request.needs) == ((), frozenset())


@pytest.mark.parametrize("system", DESCRIBED)
def test_a_withdrawn_view_without_content_leaves_the_root_row_alone(system: str) -> None:
    for kind in KINDS[system]:
        view = views.view(system, kind, HERE, 2, status="withdrawn")
        assert DESCRIBED[system].build(view).root is None


def test_names_in_billing_are_upper_case_and_its_zip_bare() -> None:
    root = billing.build(views.provider("billing", HERE)).root
    place = billing.build(views.location("billing", HERE)).root
    assert root is not None
    assert place is not None
    assert (root["last_nm"], root["first_nm"], place["zip9"]) == ("FERNHOLLOW", "WREN", "627011234")


def test_an_enrollment_provider_carries_its_groups_by_location() -> None:
    request = enrollment.build(views.provider("enrollment", HERE, groups=[views.group(THERE)]))
    assert [row["svc_loc_ref"] for row in request.children] == [THERE]
    assert request.needs == frozenset()


@pytest.mark.parametrize("system", DESCRIBED)
def test_a_request_names_exactly_the_columns_the_adapter_writes(system: str) -> None:
    for kind, root in DESCRIBED[system].roots.items():
        sample = views.provider if kind == "provider" else views.location
        view = views.organization(HERE) if kind == "organization" else sample(system, HERE)
        row = DESCRIBED[system].build(view).root
        assert row is not None
        assert set(row) == set(root.columns)


@pytest.mark.parametrize("system", DESCRIBED)
def test_no_column_is_both_written_and_owned(system: str) -> None:
    written = DESCRIBED[system].written()
    for table, owned in DESCRIBED[system].owned.items():
        assert not owned & (written[table] - {"enr_provider_id"})
