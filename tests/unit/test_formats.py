"""Format checks by hand, judged by python-stdnum and phonenumbers.

Where the hand-written check is intentionally looser: a telephone number passes by its shape (NANP area and exchange
codes), whether or not the area code is in use; a NUCC code by its shape, whether or not the list has it; a DEA number
without regard to its registrant letter (R07: an unknown first letter is a warning, not a refusal).
"""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from stdnum import luhn

from connectors.credentialing import identifiers
from streams.core import formats
from streams.core.formats import CHECKS, DATES_IN_ORDER, refusal_code, refused_fields
from tests.strategies import CATALOG, any_entity, texts

digits10 = st.text("0123456789", min_size=10, max_size=10)
anything = texts | st.text("0123456789+-. ()ABX\u0661\u00b2", max_size=14)


@given(digits10)
def test_an_npi_passes_when_luhn_over_80840_does(number: str) -> None:
    assert (formats.npi(number) is None) == luhn.is_valid(f"80840{number}")


@given(st.integers(0, 999_999_999))
def test_exactly_one_check_digit_makes_an_npi(stem: int) -> None:
    passing = [d for d in range(10) if formats.npi(f"{stem:09d}{d}") is None]
    assert [f"{stem:09d}{d}" for d in passing] == [identifiers.npi(stem)]


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("1234567893", None),
        ("1245319599", None),
        ("1407071236", None),
        ("1043218244", "format.npi_check_digit"),
        ("1275576930", "format.npi_check_digit"),
        ("1234567890", "format.npi_check_digit"),
        ("123456789", "format.npi_shape"),
        ("12345678930", "format.npi_shape"),
        ("\u0661234567893", "format.npi_shape"),
        ("123456789\u00b2", "format.npi_shape"),
        ("", "format.npi_shape"),
    ],
)
def test_npis_of_the_domain_rules(value: str, code: str | None) -> None:
    assert formats.npi(value) == code


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("AP5836727", None),
        ("BB1388568", None),
        ("A91388568", None),
        ("AP5836727-R1", None),
        ("AP5836728", "format.dea_check_digit"),
        ("ap5836727", "format.dea_shape"),
        ("AP583672", "format.dea_shape"),
        ("A15836727", "format.dea_shape"),
        ("AP58367\u0662\u0667", "format.dea_shape"),
    ],
)
def test_dea_numbers_of_the_domain_rules(value: str, code: str | None) -> None:
    assert formats.dea(value) == code


@given(st.sampled_from("ABFM"), st.from_regex("[A-Z]", fullmatch=True), st.integers(0, 999_999))
def test_exactly_one_check_digit_makes_a_dea_number(registrant: str, name: str, stem: int) -> None:
    assert formats.dea(identifiers.dea(registrant, name, stem)) is None
    passing = [d for d in range(10) if formats.dea(f"{registrant}{name}{stem:06d}{d}") is None]
    assert len(passing) == 1


HERE = {"US", "PR", "VI", "GU", "AS", "MP"}
"""The states of practice. Other countries share +1, and one has exchanges the domain's canonical shape refuses."""


@given(st.text("0123456789", min_size=10, max_size=10))
@example("8090000000")  # the Dominican Republic: valid there, not in the canonical shape (domain rule 4.6)
@example("7875550123")
@example("0118010000")  # 011 dials abroad, to a country that isn't there: unreadable to the library
def test_every_number_phonenumbers_calls_valid_passes_and_what_it_calls_impossible_does_not(
    number: str,
) -> None:
    passes = formats.phone(number) is None
    try:
        parsed = phonenumbers.parse(number, "US")
    except phonenumbers.NumberParseException:
        assert not passes
        return
    if phonenumbers.is_valid_number(parsed) and phonenumbers.region_code_for_number(parsed) in HERE:
        assert passes
    if not phonenumbers.is_possible_number(parsed):
        assert not passes


@given(st.sampled_from(["217", "608", "312", "907", "202"]), st.integers(2_000_000, 9_999_999), st.data())
def test_every_common_way_to_write_a_number_is_the_same_e164(
    area: str, local: int, data: st.DataObject
) -> None:
    a, b = f"{local:07d}"[:3], f"{local:07d}"[3:]
    written = data.draw(
        st.sampled_from(
            [f"{area}{a}{b}", f"({area}) {a}-{b}", f"{area}-{a}-{b}", f"{area}.{a}.{b}", f"+1 {area} {a} {b}"]
        )
    )
    assert formats.phone(written) is None
    parsed = phonenumbers.parse(written, "US")
    assert formats.canonical_phone(written) == phonenumbers.format_number(
        parsed, phonenumbers.PhoneNumberFormat.E164
    )


@pytest.mark.parametrize(
    "value", ["", "555-0142", "0175550142", "2170550142", "+442071838750", "217555014\u0662", "x" * 10]
)
def test_what_is_no_north_american_number_is_refused(value: str) -> None:
    assert formats.phone(value) == "format.phone_shape"


@pytest.mark.parametrize("value", ["207Q00000X", "1223G0001X", "101YA0400X", "363L00000X"])
def test_nucc_codes_pass(value: str) -> None:
    assert formats.nucc(value) is None


@pytest.mark.parametrize("value", ["207Q00000", "207q00000X", "207Q00000N", "\u0662\u0660\u0667Q00000X", ""])
def test_what_has_no_nucc_shape_is_refused(value: str) -> None:
    assert formats.nucc(value) == "format.taxonomy_shape"


@pytest.mark.parametrize(
    ("value", "canonical"), [("62701", "62701"), ("627011234", "62701-1234"), ("62701-1234", "62701-1234")]
)
def test_zip_codes_have_one_canonical_form(value: str, canonical: str) -> None:
    assert formats.postal_code(value) is None
    assert formats.canonical_postal_code(value) == canonical


@pytest.mark.parametrize(
    "value", ["6270", "62701-12", "627O1", "\u0666\u0662\u0667\u0660\u0661", "62701 1234", ""]
)
def test_what_has_no_zip_shape_is_refused(value: str) -> None:
    assert formats.postal_code(value) == "format.zip_shape"


@pytest.mark.parametrize(
    ("value", "canonical"), [("036-000 001", "036000001"), ("a.12", "A12"), ("", ""), (None, None)]
)
def test_licence_numbers_keep_leading_zeros_and_lose_punctuation(
    value: str | None, canonical: str | None
) -> None:
    assert formats.canonical_license_number(value) == canonical


@given(st.sampled_from([(r, f) for r, checks in CHECKS.items() for f in checks]), anything)
def test_a_check_never_raises_and_what_passes_has_a_canonical_form_that_passes(
    where: tuple[str, str], value: str
) -> None:
    record, field = where
    check = CHECKS[record][field]
    if check(value) is None and field in ("phone", "fax"):
        assert check(formats.canonical_phone(value)) is None
    if check(value) is None and field == "postal_code":
        assert check(formats.canonical_postal_code(value)) is None


@given(any_entity)
def test_every_refused_field_has_a_code_and_every_other_none(history: list) -> None:  # type: ignore[type-arg]
    for change in history:
        for field in refused_fields(change.record, change.values) if change.values else ():
            code = refusal_code(change.record, field, change.values)
            assert code.startswith("format.") or code == "identity.blanked", "an empty NPI is both"


def test_checks_and_date_pairs_name_canonical_fields_only() -> None:
    for record, fields in [*CHECKS.items(), *DATES_IN_ORDER.items()]:
        for field in fields:
            assert CATALOG.field(record, field) is not None, f"{record}.{field}"
