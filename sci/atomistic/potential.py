"""A potential of atoms: a network of their neighborhoods, and Coulomb's energy over all distances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.arguments import Computed, entry
from sci.atomistic.config import AtomisticConfig
from sci.atomistic.configuration import Configuration
from sci.atomistic.long_range import charges_of, coulomb_energy
from sci.atomistic.neighbors import Neighborhood, neighbor_pairs, neighborhood
from sci.atomistic.network.geometry import forces_and_virials, pair_functions
from sci.atomistic.network.layers import CHARGE_SLOPES, charges, energies, initial_parameters
from sci.backend import Array, as_finite
from sci.errors import DTypeError, InvalidValueError
from sci.nn import ModelState, count_parameters, value_and_input_gradient
from sci.nn.training.model import parted, refitted, with_statistics

__all__ = ["AtomisticPotential", "Prediction"]


@entry
@dataclass(frozen=True, eq=False)
class Prediction:
    """Energy, forces and stress of a configuration.

    Parameters
    ----------
    energy : float, eV
    forces : (n, 3) float64, eV/angstrom
    stress : (3, 3) float64, eV/angstrom^3, optional
        dE / d(strain) / V; of atoms that repeat along three axes.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
        Also for NaN and Inf: the network has left its range.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.atomistic import Prediction
    >>> Prediction(-1.5, np.zeros((2, 3)))
    Prediction(energy=-1.5 eV, 2 atoms, largest force 0 eV/angstrom)
    """

    energy: Computed
    forces: Array
    stress: Array | None = None

    def __post_init__(self) -> None:
        if not np.isfinite(self.energy):
            raise InvalidValueError(f"the energy is {self.energy}; expected a finite number: atoms may be too close")
        object.__setattr__(self, "energy", float(self.energy))
        object.__setattr__(self, "forces", as_finite(self.forces, "forces", shape=(None, 3), xp=np))
        if self.stress is not None:
            object.__setattr__(self, "stress", as_finite(self.stress, "stress", shape=(3, 3), xp=np))

    def __repr__(self) -> str:
        largest = float(np.sqrt((self.forces**2).sum(axis=1)).max(initial=0.0))
        size = f"{len(self.forces)} atoms, largest force {largest:.3g} eV/angstrom"
        return f"Prediction(energy={self.energy:.6g} eV, {size})"


@entry
class AtomisticPotential:
    r"""A potential of atoms: an equivariant message-passing network for the short range, Coulomb's for the long one.

    E = \sum_i [e_{z_i} + s \epsilon_i] + 1/2 \sum_ij q_i q_j / r_ij over all images, the sum without a cutoff where
    charges are given or learned. \epsilon_i comes from layers: the density of neighbors, A_i = \sum_j R(r_ij) h_j
    Y(r_ij), a function on the sphere; products of it with itself, w_1 A + (w_1 A)(w_2 A) + ..., projected on harmonics
    (Gaunt products, exact by quadrature) with weights for each species; a mixture of channels, the features h_i of the
    next layer. Forces and stress are the exact derivatives of the energy.

    Parameters
    ----------
    config : AtomisticConfig
    seed : int or numpy Generator
    dtype : float32 or float64
        Of the network; geometry and Coulomb's energy are float64.

    Attributes
    ----------
    parameters : dict of arrays
    statistics : dict of arrays
        "shift": e of each species, eV; "scale": s, eV; "neighbors": the mean number of neighbors, by whose square root
        densities are divided. `fit_statistics` takes them from data, a training does.

    Raises
    ------
    DTypeError

    Notes
    -----
    On the host. The energy has three continuous derivatives where neighbors cross the cutoff. Products of densities
    have the parity of harmonics: the network cannot make pseudoscalars, so mirror images have the same energy.

    References
    ----------
    Batatia, Kovács, Simm, Ortner and Csányi, NeurIPS 2022 (MACE). Luo, Chen and Krishnapriyan, ICLR 2024, and Xin et
    al., 2021 (products by values on the sphere).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.atomistic import AtomisticConfig, AtomisticPotential, Configuration
    >>> potential = AtomisticPotential(AtomisticConfig(["Cu"], cutoff=4.0, channels=4), seed=0)
    >>> potential
    AtomisticPotential(Cu; 2 layers of cutoff 4, 4 channels, degree 2, 3 factors; 512 parameters)
    >>> atoms = Configuration(["Cu"] * 2, [[0.0, 0.0, 0.0], [2.5, 0.0, 0.0]])
    >>> forces = potential(atoms).forces
    >>> bool(np.abs(forces.sum(axis=0)).max() < 1e-12)
    True
    """

    def __init__(
        self, config: AtomisticConfig, *, seed: int | np.random.Generator = 0, dtype: Any = np.float64
    ) -> None:
        if np.dtype(dtype) not in (np.float32, np.float64):
            raise DTypeError(f"dtype is {np.dtype(dtype)}; expected float32 or float64")
        self.config = config
        self.parameters = initial_parameters(config, np.random.default_rng(seed), np.dtype(dtype))
        plain = {"shift": np.zeros(len(config.species)), "scale": np.ones(1), "neighbors": np.ones(1)}
        self.statistics: dict[str, np.ndarray] = plain

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the network."""
        return np.dtype(self.parameters["out"].dtype)

    @property
    def n_parameters(self) -> int:
        """Number of parameters."""
        return count_parameters(self.parameters)

    def __repr__(self) -> str:
        parts = repr(self.config).removeprefix("AtomisticConfig(").removesuffix(")")
        return f"AtomisticPotential({parts}; {self.n_parameters:,} parameters)"

    def numbers(self, configuration: Configuration, which: int | None = None) -> np.ndarray:
        """Return the number of each atom's species in `config.species`.

        Parameters
        ----------
        configuration : Configuration
        which : int, optional
            Its number, for the error.

        Returns
        -------
        (n,) int64

        Raises
        ------
        InvalidValueError
            For a species that the potential does not know; names the atom.
        """
        known = {name: k for k, name in enumerate(self.config.species)}
        for atom, name in enumerate(configuration.species):
            if name not in known:
                of = "" if which is None else f" of configuration {which}"
                raise InvalidValueError(
                    f"atom {atom}{of} (counted from 0) is {name!r}; the potential knows {', '.join(known)}: train it "
                    "on configurations with this species"
                )
        return np.array([known[name] for name in configuration.species], dtype=np.int64)

    def neighborhood(self, configuration: Configuration, which: int | None = None) -> Neighborhood:
        """Return the neighbors of the atoms of a configuration, as `forward` takes them.

        Parameters
        ----------
        configuration : Configuration
        which : int, optional
            Its number, for errors.

        Returns
        -------
        Neighborhood

        Raises
        ------
        InvalidValueError
        """
        numbers, cell = self.numbers(configuration, which), configuration.cell
        first, second, shifts = neighbor_pairs(
            configuration.positions, self.config.cutoff, cell=cell, periodic=configuration.periodic
        )
        positions = np.asarray(configuration.positions)
        vectors = positions[second] - positions[first]
        if cell is not None:
            vectors = vectors + shifts @ np.asarray(cell)
        return neighborhood(numbers, (first, second), vectors, self.config.cutoff)

    def forward(
        self, parameters: Mapping[str, Any], near: Neighborhood, charge_slopes: Any = None
    ) -> tuple[Any, Any, Any]:
        """Return energies, forces and virials of the network, with parameters that may be variables.

        Parameters
        ----------
        parameters : dict of arrays or variables
        near : Neighborhood
            Of one configuration or several.
        charge_slopes : (n, 1) array or variable, optional
            dE / d(charge) of each atom, of learned charges: its products with the charges before their total is set
            right are added to the energies, so that forces and virials have the response of the charges.

        Returns
        -------
        energies : (configurations,) array or variable
            In eV, without Coulomb's and without the energies of single atoms.
        forces : (n, 3) array or variable
        virials : (configurations, 3, 3) array or variable
            dE / d(strain).
        """
        config, scale = self.config, float(self.statistics["scale"][0])
        mean_neighbors = float(self.statistics["neighbors"][0])
        values, gradients = self._pair_functions(near)
        tree = parameters if charge_slopes is None else {**parameters, CHARGE_SLOPES: charge_slopes * (1 / scale)}
        energy, slopes = value_and_input_gradient(
            lambda v, x: energies(config, v, x, near, mean_neighbors), tree, values
        )
        forces, virials = forces_and_virials(slopes, gradients=gradients, near=near)
        return energy * scale, forces * scale, virials * scale

    def network_charges(self, parameters: Mapping[str, Any], near: Neighborhood) -> Any:
        """Return learned charges before their total is set right, with parameters that may be variables.

        Parameters
        ----------
        parameters : dict of arrays or variables
        near : Neighborhood
            Of one configuration or several.

        Returns
        -------
        (n, 1) array or variable
            In e.

        Raises
        ------
        InvalidValueError
            For a potential that learns no charges.
        """
        if self.config.charges != "learned":
            raise InvalidValueError(f"{self!r} learns no charges; expected the option charges='learned'")
        values, _ = self._pair_functions(near)
        return charges(self.config, parameters, values, near, float(self.statistics["neighbors"][0]))

    def charges(self, configuration: Configuration) -> np.ndarray:
        """Return the charge of each atom: of its species, given, or learned.

        Learned charges are shifted alike, so that they sum to the charges of the configuration, 0 where it has none.

        Parameters
        ----------
        configuration : Configuration

        Returns
        -------
        (n,) float64, e

        Raises
        ------
        InvalidValueError
            For a potential without charges, an unknown species, or charges that are missing.
        """
        if self.config.charges is None:
            raise InvalidValueError(f"{self!r} has no charges; expected one with the option charges")
        if self.config.charges != "learned":
            self.numbers(configuration)
            return charges_of(configuration, self.config)
        found = self.network_charges(self.parameters, self.neighborhood(configuration))
        return shifted(found[:, 0].astype(np.float64), configuration)

    def _pair_functions(self, near: Neighborhood) -> tuple[np.ndarray, np.ndarray]:
        """Return the functions of neighbors and their gradients in the dtype of the network."""
        config = self.config
        values, gradients = pair_functions(near, config.cutoff, config.n_radial, config.degree)
        return values.astype(self.dtype, copy=False), gradients.astype(self.dtype, copy=False)

    def _with_charges(
        self, configuration: Configuration, near: Neighborhood, stress: bool
    ) -> tuple[Any, Any, Any, Any]:
        """Return the network's energies, forces and virials, and Coulomb's energy of learned charges.

        The network's have the response of the charges: its energies are those without Coulomb's.
        """
        made = self.network_charges(self.parameters, near)[:, 0].astype(np.float64)
        long = coulomb_energy(configuration, self.config, stress=stress, charges=shifted(made, configuration))
        slopes: Any = long.potentials
        slopes = slopes - slopes.mean()
        energy, forces, virials = self.forward(self.parameters, near, slopes[:, None].astype(self.dtype))
        return energy.astype(np.float64) - float(slopes @ made), forces, virials, long

    def __call__(self, configuration: Configuration, *, stress: bool = True) -> Prediction:
        """Return energy, forces and, for atoms that repeat along three axes, the stress.

        Parameters
        ----------
        configuration : Configuration
        stress : bool
            False leaves the stress out, which takes most of the time of Coulomb's part.

        Returns
        -------
        Prediction

        Raises
        ------
        InvalidValueError
            For an unknown species, by the atom, two atoms in one place, or charges that are missing.
        """
        near = self.neighborhood(configuration)
        if self.config.charges == "learned":
            energy, forces, virials, long = self._with_charges(configuration, near, stress)
        else:
            energy, forces, virials = self.forward(self.parameters, near)
            long = None if self.config.charges is None else coulomb_energy(configuration, self.config, stress=stress)
        total = float(energy[0]) + float(self.statistics["shift"][near.species].sum())
        pulls = forces.astype(np.float64)
        virial = virials[0].astype(np.float64)
        tensor = virial / configuration.volume if stress and all(configuration.periodic or ()) else None
        if long is not None:
            total, pulls = total + long.energy, pulls + long.forces
            tensor = None if tensor is None or long.stress is None else tensor + long.stress
        return Prediction(total, pulls, tensor)

    def with_parameters(
        self, parameters: Mapping[str, np.ndarray], statistics: Mapping[str, np.ndarray] | None = None
    ) -> AtomisticPotential:
        """Return the potential with other parameters.

        Parameters
        ----------
        parameters : dict of arrays
            Names, shapes and dtypes as those of `self.parameters`.
        statistics : dict of arrays, optional
            Those of `self` unless given.

        Returns
        -------
        AtomisticPotential

        Raises
        ------
        ShapeError, InvalidValueError
        """
        dtype = parameters["out"].dtype if "out" in parameters else self.dtype
        made = AtomisticPotential(self.config, dtype=dtype)
        kept = self.statistics if statistics is None else statistics
        made.parameters, made.statistics = refitted(parameters, kept, made)
        return made

    def to_state(self) -> ModelState:
        """Return name, options and arrays, as a file holds them.

        Returns
        -------
        ModelState
        """
        arrays = with_statistics(self.parameters, self.statistics)
        return ModelState("AtomisticPotential", self.config.to_options(), arrays)

    @classmethod
    def from_state(cls, state: ModelState) -> AtomisticPotential:
        """Return the potential that `to_state` described.

        Parameters
        ----------
        state : ModelState

        Returns
        -------
        AtomisticPotential

        Raises
        ------
        InvalidValueError, ShapeError
            For the state of another model, or arrays that do not fit the options.
        """
        if state.name != "AtomisticPotential" or "out" not in state.parameters:
            raise InvalidValueError(f"the model is of the kind {state.name}; expected an AtomisticPotential")
        plain = cls(AtomisticConfig.from_options(state.options))
        return plain.with_parameters(*parted(state.parameters))


def shifted(charges: np.ndarray, configuration: Configuration) -> np.ndarray:
    """Return learned charges that sum to the charge of a configuration."""
    total = 0.0 if configuration.charges is None else float(np.sum(configuration.charges))
    found: np.ndarray = charges + (total - charges.sum()) / len(charges)
    return found
