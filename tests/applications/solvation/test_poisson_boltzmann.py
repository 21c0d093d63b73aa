"""The Poisson-Boltzmann equation: weakly charged ions, the radial equation, thermodynamics, the limit without salt."""

from __future__ import annotations

from decimal import Decimal, localcontext
from math import exp, pi

import numpy as np
import pytest
from scipy.integrate import solve_bvp

from sci.applications import Electrolyte, poisson_boltzmann, reaction_field
from sci.applications.solvation.poisson_boltzmann import PER_LITER, _osmotic
from sci.errors import InvalidValueError, ShapeError
from sci.potentials import Particles

INSIDE, OUTSIDE = 2.0, 78.5


def _ion(charge):
    return Particles([[0.31, -0.17, 0.23]], [charge])


def _debye_hueckel(charge, radius, salt):
    """Return the energy of a weakly charged ion."""
    a, kappa = radius + salt.ion_radius, 1 / salt.debye_length(OUTSIDE)
    return 0.5 * charge**2 * ((1 / OUTSIDE - 1 / INSIDE) / radius - kappa / (OUTSIDE * (1 + kappa * a)))


def _radial(charge, radius, salt, reach=60.0):
    """Return the potential at the ion's own center, that in the solvent as a function, and the energy, from the radial
    equation (r^2 u')' = r^2 kappa^2 sinh u beyond the ions' closest approach a.
    """
    length, kappa = salt.bjerrum_length, 1 / salt.debye_length(OUTSIDE)
    a = radius + salt.ion_radius
    slope = -length * charge / (OUTSIDE * a * a)

    def equation(r, y):
        return np.vstack([y[1], kappa**2 * np.sinh(y[0]) - 2 * y[1] / r])

    def ends(low, high):
        return np.array([low[1] - slope, high[1] + high[0] * (kappa + 1 / (a + reach))])

    r = a + reach * np.linspace(0, 1, 400) ** 3
    guess = length * charge * np.exp(-kappa * (r - a)) / (OUTSIDE * (1 + kappa * a) * r)
    guess = np.arcsinh(guess)
    found = solve_bvp(equation, ends, r, np.vstack([guess, np.gradient(guess, r)]), tol=1e-8, max_nodes=100_000)
    assert found.success
    surface = found.sol(a)[0] / length + charge / OUTSIDE * (1 / radius - 1 / a)
    own = surface - charge / (INSIDE * radius)
    shells = a + reach * np.linspace(0, 1, 20_001) ** 3
    u = found.sol(shells)[0]
    density = 2 * salt.ionic_strength * PER_LITER * (0.5 * u * np.sinh(u) - np.cosh(u) + 1)
    osmotic = np.trapezoid(4 * pi * shells**2 * density, shells) / length
    return own, lambda r: found.sol(r)[0], 0.5 * charge * own + osmotic


@pytest.mark.parametrize(
    ("radius", "strength", "spacing"), [(2.0, 0.1, 0.5), (2.0, 1.0, 0.5), (1.5, 0.15, 0.4), (4.0, 0.05, 0.8)]
)
def test_debye_and_hueckel(radius, strength, spacing):
    salt, charge = Electrolyte(strength), 0.01
    found = poisson_boltzmann(_ion(charge), [radius], salt, spacing=spacing, padding=14.0)
    exact, bare = _debye_hueckel(charge, radius, salt), _debye_hueckel(charge, radius, Electrolyte(1e-12))
    assert abs(found.energy - exact) <= found.energy_error
    assert found.energy_error < 0.03 * abs(exact)
    assert abs(found.osmotic_energy) < 1e-4 * abs(exact)
    # The salt itself, beside the same solvent without it on the same grids.
    salted = (
        found.energy - reaction_field(_ion(charge), [radius], spacing=spacing, padding=14.0, outside=OUTSIDE).energy
    )
    assert salted == pytest.approx(exact - bare, rel=0.05)


@pytest.mark.parametrize("charge", [1.0, 5.0, -12.0])
def test_the_radial_equation_from_weak_to_strong(charge):
    """An ion of 12 charges has a potential of 15 kT at the closest approach: sinh is 10^6 there."""
    radius, salt = 3.0, Electrolyte(0.2)
    own, outside, energy = _radial(abs(charge), radius, salt)
    found = poisson_boltzmann(_ion(charge), [radius], salt, spacing=0.4, padding=14.0)
    assert abs(found.energy - energy) <= found.energy_error
    assert found.energy_error < 0.02 * abs(energy)
    assert abs(found.at_charges[0] - np.sign(charge) * own) <= found.at_charges_error[0]
    axes = [
        found.origin[a] + 0.4 * np.arange(n) - _ion(1.0).positions[0, a] for a, n in enumerate(found.potential.shape)
    ]
    distance = np.sqrt(sum(x**2 for x in np.meshgrid(*axes, indexing="ij")))
    # Beyond, the walls have the potential of the linear equation, larger by a third for twelve charges.
    far = (distance > 6.0) & (distance < 10.0)
    expected = np.sign(charge) * outside(distance[far])
    assert abs(found.potential[far] - expected).max() < 0.03 * abs(expected).max()


def test_the_derivative_of_the_energy_by_the_charge_is_the_potential():
    """The energy is that of charging: dG/dq = phi, which it is not without the osmotic term."""
    salt, charge, step, radius = Electrolyte(0.3), 8.0, 0.5, 2.5
    low, high = (_radial(charge + s, radius, salt)[2] for s in (-step, step))
    assert (high - low) / (2 * step) == pytest.approx(_radial(charge, radius, salt)[0], rel=1e-4)
    settings = {"spacing": 0.5, "padding": 10.0}
    low, middle, high = (poisson_boltzmann(_ion(charge + s), [radius], salt, **settings) for s in (-step, 0.0, step))
    assert (high.energy - low.energy) / (2 * step) == pytest.approx(middle.at_charges[0], rel=2e-4)


def test_without_salt_it_is_the_reaction_field():
    rng = np.random.default_rng(1)
    molecule = Particles(3 * rng.random((6, 3)), rng.normal(size=6), np.full(6, 1.6))
    bare = reaction_field(molecule, spacing=0.5, outside=OUTSIDE)
    found = poisson_boltzmann(molecule, None, Electrolyte(1e-9), spacing=0.5, padding=8.0)
    assert found.energy == pytest.approx(bare.energy, rel=1e-4)
    np.testing.assert_allclose(found.at_charges, bare.at_charges, atol=2e-4 * abs(bare.at_charges).max())


def test_a_charge_so_high_that_the_first_exponentials_overflow():
    found = poisson_boltzmann(_ion(60.0), [1.5], Electrolyte(0.5), spacing=0.5, padding=8.0)
    assert found.minimum.converged
    assert (np.diff(found.minimum.energies) < 0).all()
    assert found.minimum.iterations <= 12


def test_steps_do_not_grow_with_the_grid():
    rng = np.random.default_rng(3)
    molecule = Particles(8 * rng.random((30, 3)), 2 * rng.normal(size=30), np.full(30, 1.7))
    steps = [poisson_boltzmann(molecule, cells=n, rtol=1e-6).minimum.iterations for n in (24, 48, 72)]
    assert max(steps) <= 8
    assert max(steps) - min(steps) <= 2


def test_divalent_ions_screen_their_counter_charge_more():
    """At one ionic strength 2:-1 ions are as strong in the linear limit, and stronger around negative charges."""
    weak = [poisson_boltzmann(_ion(0.01), [2.0], Electrolyte(0.2, valences=v), spacing=0.6) for v in ((1, -1), (2, -1))]
    assert weak[0].energy == pytest.approx(weak[1].energy, rel=1e-5)
    strong = [
        poisson_boltzmann(_ion(-5.0), [2.0], Electrolyte(0.2, valences=v), spacing=0.6) for v in ((1, -1), (2, -1))
    ]
    assert strong[1].energy < strong[0].energy - 0.001


def test_temperature_and_length_of_an_electrolyte():
    salt = Electrolyte(0.1, temperature=298.15)
    assert salt.debye_length(78.5) == pytest.approx(9.62, abs=0.01)
    assert sum(n * z for n, z in zip(salt.numbers, salt.valences)) == 0
    two = Electrolyte(0.3, valences=(2, -1))
    assert 0.5 * sum(n * z * z for n, z in zip(two.numbers, two.valences)) == pytest.approx(0.3 * PER_LITER)
    assert salt.bjerrum_length * Electrolyte(0.1, 149.075).bjerrum_length == pytest.approx(2 * salt.bjerrum_length**2)
    assert exp(-1 / salt.debye_length(78.5)) < 1


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"ionic_strength": 0.0}, InvalidValueError, "use reaction_field"),
        ({"ionic_strength": -1.0}, InvalidValueError, "ionic_strength is -1"),
        ({"temperature": 0.0}, InvalidValueError, "temperature is 0"),
        ({"valences": (1, 2)}, InvalidValueError, "a positive and a negative"),
        ({"ion_radius": -1.0}, InvalidValueError, "ion_radius"),
    ],
)
def test_no_such_electrolyte(options, error, match):
    with pytest.raises(error, match=match):
        Electrolyte(**options)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"inside": 0.0}, InvalidValueError, "permittivities"),
        ({"rtol": 2.0}, InvalidValueError, "rtol 2"),
        ({"spacing": 0.5, "cells": 20}, InvalidValueError, "one of the two"),
        ({"cells": 2}, InvalidValueError, "cells is 2"),
        ({"spacing": 9.0}, InvalidValueError, "padding of two cells"),
        ({"radii": [1.0, 2.0]}, ShapeError, "radii"),
        ({"radii": [0.0]}, InvalidValueError, "expected positive"),
    ],
)
def test_bad_arguments(options, error, match):
    with pytest.raises(error, match=match):
        poisson_boltzmann(_ion(1.0), **{"radii": [2.0], **options})


def test_repr():
    found = poisson_boltzmann(_ion(1.0), [2.0], cells=16)
    assert repr(found).startswith("PoissonBoltzmann(energy -0.")
    assert "0.15 mol/L, 16x16x16 cells" in repr(found)


@pytest.mark.parametrize("y", [1e-80, -1e-16, 1e-9, 1e-3, -0.299, 0.301, -2.0, 5.0])
def test_the_osmotic_part_of_small_potentials_keeps_every_digit(y):
    with localcontext() as context:
        context.prec = 400
        exact = float(1 + Decimal(y) * Decimal(y).exp() / 2 - Decimal(y).exp() + Decimal(y) / 2)
    assert _osmotic(np.array([y]))[0] == pytest.approx(exact, rel=1e-13)
