"""Every law of the mathematics, over a table of all its instances (see `tables`)."""
