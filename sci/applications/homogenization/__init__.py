"""Homogenization of composites: constitutive laws, FFT cells, EquiNO."""
