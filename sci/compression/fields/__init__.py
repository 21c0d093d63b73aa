"""Fields: arrays on grids to few bytes, within a bound on the error."""
