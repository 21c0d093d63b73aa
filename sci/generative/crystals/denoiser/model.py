"""A diffusion of crystals: features, schedule and network, and the compositions that it was trained on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array, require_finite
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.generative.crystals.crystals import Crystals
from sci.generative.crystals.denoiser.compositions import composer, composer_parameters, composer_tree
from sci.generative.crystals.denoiser.config import CrystalConfig
from sci.generative.crystals.denoiser.features import CELL, CrystalFeatures
from sci.generative.crystals.denoiser.networks import Perceptron, TableUNet, time_features
from sci.generative.diffusion.parameterizations import predicted_sample
from sci.generative.diffusion.schedules import cosine_schedule
from sci.generative.marginal.model import MarginalModel
from sci.nn import ModelState, add, count_parameters, multiply
from sci.nn.training.model import fitting

__all__ = ["CrystalDiffusion"]

Composition = tuple[tuple[int, int], ...]
"""Atomic numbers, ascending, with the atoms of each."""


@entry
class CrystalDiffusion:
    """A network that takes noise off crystals, and with it makes new ones.

    Parameters
    ----------
    config : CrystalConfig
    features : CrystalFeatures
    compositions : dict
        How often each composition was in the training: ((11, 4), (17, 4)) is four atoms of Na and of Cl.
    seed : int
    dtype : float32 or float64

    Attributes
    ----------
    schedule : NoiseSchedule
    parameters : dict of arrays

    Raises
    ------
    InvalidValueError, DTypeError

    References
    ----------
    Yang et al., Scalable Diffusion for Materials Generation, ICLR 2024, arXiv:2311.09235. Ours: circles for fractional
    coordinates, slots that are never in use left out, and empty slots known where the composition is given.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.generative import CrystalConfig, CrystalDiffusion, Crystals, crystal
    >>> salts = Crystals([crystal([11, 17], [[0, 0, 0], [0.5, 0.5, 0.5]], a * np.eye(3)) for a in (2.8, 3.0)])
    >>> CrystalDiffusion.create(salts, CrystalConfig(widths=[16]))
    CrystalDiffusion(2 elements, 2 slots, circle; perceptron of 16, 200 steps, compositions given; 3,810 parameters)
    """

    def __init__(
        self,
        config: CrystalConfig,
        features: CrystalFeatures,
        compositions: Mapping[Composition, int],
        *,
        seed: int = 0,
        dtype: Any = np.float32,
    ) -> None:
        if np.dtype(dtype) not in (np.float32, np.float64):
            raise DTypeError(f"dtype is {np.dtype(dtype)}; expected float32 or float64")
        if config.representation != features.representation:
            raise InvalidValueError(
                f"the features are of representation {features.representation!r}, the configuration says "
                f"{config.representation!r}; expected one"
            )
        self.config, self.features = config, features
        self.schedule = cosine_schedule(config.steps)
        self.compositions: dict[Composition, int] = {
            tuple((int(z), int(n)) for z, n in one): int(times) for one, times in compositions.items()
        }
        if not self.compositions or min(self.compositions.values()) < 1:
            raise InvalidValueError("compositions hold nothing, or a count below 1; expected how often each occurred")
        for one in self.compositions:
            features.occupied(np.repeat(*np.array(one, dtype=np.int64).T), "compositions: ")
        self.network: Perceptron | TableUNet
        if config.network == "perceptron":
            self.network = Perceptron(features, config.widths[0], config.depth, config.conditional)
        else:
            self.network = TableUNet(features, tuple(config.widths), config.depth, config.conditional)
        self.parameters = self.network.initial(seed, dtype)
        if config.compositions == "first":
            self.parameters |= composer_parameters(composer(features, config.composer, seed=seed, dtype=dtype))

    @classmethod
    def create(
        cls, crystals: Crystals, config: CrystalConfig | None = None, *, seed: int = 0, dtype: Any = np.float32
    ) -> CrystalDiffusion:
        """Return the untrained model of a set of crystals: their elements, slots, cells and compositions.

        Parameters
        ----------
        crystals : Crystals
        config : CrystalConfig, optional
        seed : int
        dtype : float32 or float64

        Returns
        -------
        CrystalDiffusion

        Raises
        ------
        DTypeError, InvalidValueError
        """
        config = config or CrystalConfig()
        features = CrystalFeatures.fit(crystals, config.representation)
        counted = Counter(composition_of_numbers(numbers) for numbers in crystals.numbers)
        return cls(config, features, counted, seed=seed, dtype=dtype)

    @property
    def n_parameters(self) -> int:
        """Number of parameters."""
        return count_parameters(self.parameters)

    def __repr__(self) -> str:
        features = repr(self.features).removeprefix("CrystalFeatures(").rpartition(",")[0]
        config = self.config
        network = f"{config.network} of {', '.join(map(str, config.widths))}, {config.steps} steps"
        network += f", compositions {config.compositions}"
        return f"CrystalDiffusion({features}; {network}; {self.n_parameters:,} parameters)"

    @property
    def composer(self) -> MarginalModel:
        """The network of the numbers of atoms of each element, in the order of `features.elements`.

        Raises
        ------
        InvalidValueError
            Of a model without.
        """
        if self.config.compositions != "first":
            raise InvalidValueError(f"{self!r} has no network of compositions; expected one of compositions='first'")
        made = composer(self.features, self.config.composer, dtype=next(iter(self.parameters.values())).dtype)
        return made.with_parameters(composer_tree(made, self.parameters))

    def denoised(self, parameters: Mapping[str, Any], x: Array, steps: np.ndarray, occupied: np.ndarray) -> Any:
        """Return the estimate of crystals without noise, with parameters that may be variables.

        Parameters
        ----------
        parameters : dict of arrays or variables
        x : (n, features.width) array
        steps : (n,) int
        occupied : (n, slots) bool
            Of a conditional model; otherwise not looked at.

        Returns
        -------
        (n, features.width) array or variable

        Raises
        ------
        ShapeError, DTypeError
        """
        if x.ndim != 2 or x.shape[1] != self.features.width:
            raise ShapeError(f"x of shape {tuple(x.shape)}; expected (n, {self.features.width})")
        dtype = x.dtype
        times = time_features(steps, self.schedule.steps).astype(dtype)
        signal, noise = self.schedule.levels(np.asarray(steps), x)
        out = self.network(parameters, x, times, occupied.astype(dtype))
        x0 = predicted_sample(self.config.predicts, out, x, signal, noise)
        if not self.config.conditional:
            return x0
        held = self.spread(occupied).astype(dtype)
        held[:, -CELL:] = 1
        return add(multiply(x0, held), dtype.type(self.features.empty) * (1 - held))

    def spread(self, of_slots: np.ndarray) -> np.ndarray:
        """Return numbers of slots (n, slots) at each number of a crystal, (n, width), with zeros for the cell."""
        own = np.repeat(of_slots, self.features.channels, axis=1)
        return np.concatenate([own, np.zeros((len(own), CELL), own.dtype)], axis=1)

    def __call__(self, x: Array, step: int, occupied: np.ndarray | None = None) -> Array:
        """Return the estimate of crystals without noise: the denoiser of `draw_samples`.

        Parameters
        ----------
        x : (n, features.width) array
        step : int
        occupied : (n, slots) bool, optional
            Which slots hold atoms; needed by a conditional model.

        Returns
        -------
        array like `x`

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError
        """
        if self.config.conditional and occupied is None:
            raise InvalidValueError("the model is conditional; expected which slots are occupied")
        given = np.zeros((len(x), self.features.slots), bool) if occupied is None else occupied
        steps = np.full(len(x), self.schedule.check(step))
        return self.denoised(self.parameters, x, steps, given)

    def with_parameters(self, parameters: Mapping[str, Array]) -> CrystalDiffusion:
        """Return the model with other parameters.

        Parameters
        ----------
        parameters : dict of arrays
            Names, shapes and dtypes as those of `self.parameters`.

        Returns
        -------
        CrystalDiffusion

        Raises
        ------
        ShapeError
        """
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__)
        made.parameters = fitting(parameters, self.parameters, "parameter")
        return made

    def to_state(self) -> ModelState:
        """Return name, options and arrays, as a file holds them.

        Returns
        -------
        ModelState
        """
        listed = [[[list(pair) for pair in one], times] for one, times in self.compositions.items()]
        options = {
            "config": self.config.to_options(),
            "features": self.features.to_options(),
            "compositions": listed,
        }
        return ModelState("CrystalDiffusion", options, dict(self.parameters))

    @classmethod
    def from_state(cls, state: ModelState) -> CrystalDiffusion:
        """Return the model that `to_state` described.

        Parameters
        ----------
        state : ModelState

        Returns
        -------
        CrystalDiffusion

        Raises
        ------
        InvalidValueError, ShapeError
            For the state of another model, or arrays that do not fit the options.
        """
        if state.name != "CrystalDiffusion" or not state.parameters:
            raise InvalidValueError(f"the model is of the kind {state.name}; expected a CrystalDiffusion")
        options = state.options
        counted = {tuple((z, n) for z, n in one): times for one, times in options["compositions"]}
        dtype = next(iter(state.parameters.values())).dtype
        for name, array in state.parameters.items():
            require_finite(array, f"the parameter {name}")
        config = dict(options["config"])
        if "conditional" in config:  # of files before there was a choice of three
            config["compositions"] = "given" if config.pop("conditional") else "joint"
        made = cls(CrystalConfig(**config), CrystalFeatures(**options["features"]), counted, dtype=dtype)
        return made.with_parameters(state.parameters)


def composition_of_numbers(numbers: Sequence[int] | np.ndarray) -> Composition:
    """Return the atoms of each element of a crystal.

    >>> composition_of_numbers([17, 11, 17])
    ((11, 1), (17, 2))
    """
    values, counts = np.unique(np.asarray(numbers), return_counts=True)
    return tuple((int(z), int(n)) for z, n in zip(values, counts))
