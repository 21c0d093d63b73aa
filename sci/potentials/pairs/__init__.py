"""Pairs of charges within a cutoff, each once: energies, potentials, forces and virial at the charges themselves."""
