"""A seeded generator of clearly fictitious providers with everything credentialing holds about them.

    generate(count, seed) --Bundle per provider--> load.py --> the credentialing database

Pure and streaming: provider n depends on the seed and n alone, so any count gives the same first rows and memory
stays flat. Every 25 providers share a clinic (organization with two or three locations), which comes with the
first of them. Never reads a clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from random import Random

from connectors.credentialing import identifiers
from connectors.credentialing.bundle import Bundle
from connectors.credentialing.clinics import add_clinic, clinic
from connectors.credentialing.practitioner import add_provider_at

PER_CLINIC = 25
AS_OF = date(2026, 11, 1)
"""What "now" is for the rows' dates unless the caller says otherwise."""

_PROVIDERS = 80_000_000
_STRIDE = 7_654_321  # coprime to 80 million: scatters NPIs without ever repeating one


def generate(count: int, seed: int, as_of: date = AS_OF) -> Iterator[Bundle]:
    """`count` bundles, one a provider; the same arguments give the same rows."""
    for n in range(count):
        bundle = Bundle()
        if n % PER_CLINIC == 0:
            add_clinic(bundle, seed, n // PER_CLINIC, as_of)
        _add_provider(bundle, seed, n, as_of)
        yield bundle


def _add_provider(bundle: Bundle, seed: int, n: int, as_of: date) -> None:
    rng = Random(f"{seed}/provider/{n}")  # noqa: S311
    number = n // PER_CLINIC
    if rng.random() < 0.1:
        number = rng.randrange(number + 1)  # an earlier clinic, whose rows are there already
    add_provider_at(bundle, rng, provider_npi(seed, n), clinic(seed, number), as_of)


def provider_npi(seed: int, n: int) -> str:
    """The valid NPI of provider n: distinct for every n of a seed."""
    return identifiers.npi(200_000_000 + (n * _STRIDE + seed * 31_337) % _PROVIDERS)
