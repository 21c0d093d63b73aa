"""Errors of potentials, fields, energies and forces, measured against sums that are independent of their method."""
