"""Spins on lattices and in associative memories: exact sums, Monte Carlo on ranks, replica theory."""
