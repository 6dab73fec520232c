"""Smoke tests: suites, contracts from the manifest, comparisons with a baseline, run on Great Expectations."""
