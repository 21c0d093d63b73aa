"""Generators of training data: Darcy flow and the vorticity of a two-dimensional flow.

Sample i of a set depends on the seed and on i alone, so the number of ranks does not change the data.
"""

from sci.operators.data.darcy import darcy_flow, solve_darcy
from sci.operators.data.navier_stokes import evolve_vorticity, navier_stokes
from sci.operators.data.random_fields import neumann_random_field, periodic_random_field, sample_generator

__all__ = [
    "darcy_flow",
    "evolve_vorticity",
    "navier_stokes",
    "neumann_random_field",
    "periodic_random_field",
    "sample_generator",
    "solve_darcy",
]
