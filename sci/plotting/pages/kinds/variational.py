"""Charts of minima of energies: energy and dual norm by step, the function; and of Poisson-Boltzmann potentials."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sci.backend import to_host
from sci.plotting.pages.charts import lines
from sci.plotting.pages.contents import Contents
from sci.plotting.pages.kinds.fields import field_panel
from sci.plotting.pages.panels import Panel, Table, number
from sci.plotting.pages.registry import figures_of
from sci.solvers import Minimum
from sci.units import energy_factor

__all__: list[str] = []


@figures_of("minimum")
def _minimum(contents: Contents) -> Iterator[Panel]:
    found = contents.object
    yield Table("Minimum", _rows(found))
    yield from _course(found)
    if found.u.ndim in (2, 3):
        yield field_panel("Function", to_host(found.u), "u (units of the problem)")


def _rows(found: Minimum) -> list[tuple[str, str]]:
    return [
        ("converged", number(found.converged)),
        ("method", found.method),
        ("steps", number(found.iterations)),
        ("products with the Hessian, or cycles", number(int(found.products.sum()))),
        ("energy", f"{found.energy:.10g}"),
        ("dual norm of the derivative", f"{found.dual_norms[-1]:.3e}, at the start {found.dual_norms[0]:.3e}"),
        ("seconds", f"{found.seconds:.4g}"),
    ]


def _course(found: Minimum) -> Iterator[Panel]:
    steps = (np.arange(len(found.energies)), "step")
    norms = np.maximum(found.dual_norms, 1e-300)
    yield lines("Dual norm of the derivative by step", steps, {"dual norm": norms}, "dual norm", log=True)
    if len(found.energies) > 2:
        above = np.maximum(found.energies[:-1] - found.energies[-1], 1e-300)
        yield lines(
            "Energy above the last one", (steps[0][:-1], "step"), {"energy": above}, "units of the problem", log=True
        )


@figures_of("poisson_boltzmann")
def _poisson_boltzmann(contents: Contents) -> Iterator[Panel]:
    found = contents.object
    salt, to_kcal = found.electrolyte, energy_factor("kcal/mol")
    solvent = found.potential[found.accessible > 0.5]
    rows = [
        ("solvation energy", f"{found.energy:.8g} +- {found.energy_error:.2g} e^2/angstrom"),
        ("", f"{to_kcal * found.energy:.6g} +- {to_kcal * found.energy_error:.2g} kcal/mol"),
        ("of it osmotic", f"{found.osmotic_energy:.4g} e^2/angstrom"),
        ("charges", number(len(found.at_charges))),
        (
            "ionic strength",
            f"{salt.ionic_strength:g} mol/L of valences {salt.valences[0]:+d} and {salt.valences[1]:+d}",
        ),
        ("temperature", f"{salt.temperature:g} K"),
        ("cells", f"{' x '.join(map(str, found.potential.shape))} of {found.spacing:.4g} angstrom"),
    ]
    if solvent.size:
        rows.append(("potential where ions are", f"{solvent.min():.4g} to {solvent.max():.4g} kT/e"))
    yield Table("Poisson-Boltzmann", rows)
    yield Table("Minimum", _rows(found.minimum))
    yield from _course(found.minimum)
    shown = np.clip(found.potential, -5.0, 5.0)
    spacing = (found.spacing,) * 3
    yield field_panel("Potential, cut at 5 kT/e", shown, "potential (kT/e)", spacing)
    yield field_panel("Part of the cells that ions enter", found.accessible, "part", spacing)
