"""Fixtures of the unit ring."""

from tests.fixtures.decider import bench, known, logs

__all__ = ["bench", "known", "logs"]
