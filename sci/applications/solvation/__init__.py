"""Charges in a dielectric cavity: the reaction field of the solvent, and of ions in it."""
