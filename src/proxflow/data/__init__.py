"""Samples: read from files and written to them (`tables`), or made to try things on (`toy`, `digits`)."""
