"""Faults prepared on a running platform, for tests/e2e/test_prepared_faults.py."""
