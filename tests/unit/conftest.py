"""Fixtures of the unit ring."""

from tests.fixtures.audited import acts
from tests.fixtures.decider import bench, known, logs

__all__ = ["acts", "bench", "known", "logs"]
