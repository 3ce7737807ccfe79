"""Benchmarks: `make bench`, one module an experiment. Method and figures: docs/benchmarks.md."""
