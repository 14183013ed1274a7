"""Measurements behind every number in the README and the docs: `make bench` writes RESULTS.md anew."""
