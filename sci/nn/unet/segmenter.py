"""Segmentation of volumes: a U-Net with the scale of its inputs, its training, and the labels that it gives."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sci.arguments import collective_entry, entry
from sci.backend import Array, is_device_array, namespace, require_finite
from sci.distributed import Comm, agreed
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn.optim.adam import AdamW, Optimizer
from sci.nn.optim.schedules import Schedule, cosine
from sci.nn.training.loop import train
from sci.nn.training.model import Checkpoint, ModelState
from sci.nn.training.standardizer import Standardizer
from sci.nn.unet.boxes import Volume, apply_in_boxes
from sci.nn.unet.losses import dice_scores
from sci.nn.unet.network import UNet

__all__ = ["LabelVolume", "Segmenter", "train_segmenter"]


@entry
@dataclass(frozen=True, eq=False)
class LabelVolume:
    """Labels in the cells of a grid.

    Parameters
    ----------
    labels : (*grid) unsigned integers
    classes : int
        More than the largest label.
    spacing : sequence of float, optional
        Widths of a cell along each axis; 1 unless given.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import LabelVolume
    >>> LabelVolume(np.zeros((4, 5, 6), np.uint8), 3)
    LabelVolume(4 x 5 x 6 cells, 3 classes)
    """

    labels: Array
    classes: int
    spacing: Sequence[float] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "spacing", tuple(float(h) for h in self.spacing))
        if self.labels.dtype not in (np.uint8, np.uint16):
            raise DTypeError(f"labels of dtype {self.labels.dtype}; expected uint8 or uint16")
        if not 1 <= self.labels.ndim <= 3 or self.labels.size == 0:
            raise ShapeError(f"labels of shape {tuple(self.labels.shape)}; expected one to three axes with cells")
        if int(self.labels.max()) >= self.classes:
            raise InvalidValueError(f"a label {int(self.labels.max())} among {self.classes} classes; expected less")
        if self.spacing and (len(self.spacing) != self.labels.ndim or not all(0 < h < math.inf for h in self.spacing)):
            raise InvalidValueError(f"spacing is {self.spacing}; expected a positive number for each axis")

    def __repr__(self) -> str:
        return f"LabelVolume({' x '.join(map(str, self.labels.shape))} cells, {self.classes} classes)"

    @property
    def counts(self) -> np.ndarray:
        """Cells of each class."""
        flat = self.labels.reshape(-1)
        return np.array(namespace(flat).bincount(flat, minlength=self.classes).tolist(), dtype=np.int64)


@entry
@dataclass(frozen=True, repr=False)
class Segmenter:
    """A U-Net whose outputs are classes, between fields in their own units and labels.

    Parameters
    ----------
    network : UNet
    inputs : Standardizer, optional
        Of the channels of the input.

    Raises
    ------
    InvalidValueError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import Segmenter, UNet, UNetConfig
    >>> segmenter = Segmenter(UNet(UNetConfig(3, 1, 4, (4, 8))))
    >>> segmenter(np.zeros((2, 1, 8, 8, 8), np.float32)).shape
    (2, 8, 8, 8)
    """

    network: UNet
    inputs: Standardizer | None = None

    def __post_init__(self) -> None:
        classes, config = self.network.config.out_channels, self.network.config
        if not 2 <= classes <= 2**16:
            raise InvalidValueError(f"a network of {classes} outputs; expected 2 to 65,536 classes")
        if config.embedding:
            raise InvalidValueError(f"a network with an embedding of {config.embedding}; expected one of fields alone")
        shape = (1, config.in_channels, *[1] * config.axes)
        if self.inputs is not None and tuple(self.inputs.mean.shape) != shape:
            raise InvalidValueError(f"a standardizer of {tuple(self.inputs.mean.shape)}; expected {shape}: of channels")

    def __repr__(self) -> str:
        """Return the network, and what else there is."""
        return f"Segmenter({self.network!r}{'' if self.inputs is None else f', inputs={self.inputs!r}'})"

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.network.config.out_channels

    def __call__(self, x: Array, *, batch_size: int = 1) -> Array:
        """Return the labels (n, *grid) of fields (n, channels, *grid), each as a whole.

        Parameters
        ----------
        x : (n, in_channels, *grid) array
        batch_size : int

        Returns
        -------
        array of uint8, or uint16 for more than 256 classes

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError
        """
        return self._labels(self.network(x if self.inputs is None else self.inputs.encode(x), batch_size=batch_size), 1)

    def _labels(self, logits: Array, axis: int) -> Array:
        return logits.argmax(axis=axis).astype(np.uint8 if self.classes <= 256 else np.uint16)

    def segment(
        self, volume: Volume, *, box: int | Sequence[int] = 64, overlap: float = 0.5, comm: Comm = None
    ) -> tuple[slice, Array]:
        """Return this rank's planes of the labels of a volume of any size, see `apply_in_boxes`.

        Parameters
        ----------
        volume : (in_channels, *grid) array, or a dataset of a file
        box : int, or one for each axis
        overlap : float
        comm : mpi4py communicator, optional

        Returns
        -------
        planes : slice
            Of the first axis.
        labels : (k, *rest) array of uint8, or uint16 for more than 256 classes

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError
            On every rank.

        Notes
        -----
        Collective. The logits of all classes are held for one box's depth at a time.
        """
        prepare: Callable[[Array], Array] | None = None
        if self.inputs is not None:
            standardize = self.inputs.encode
            prepare = lambda part: standardize(part[None])[0]  # noqa: E731
        return apply_in_boxes(
            self.network,
            volume,
            box=box,
            overlap=overlap,
            prepare=prepare,
            finish=lambda logits: self._labels(logits, 0),
            comm=comm,
        )

    def to_state(self) -> ModelState:
        """Return name, options and arrays, as a file holds them.

        Returns
        -------
        ModelState
        """
        state = self.network.to_state()
        arrays = dict(state.parameters)
        if self.inputs is not None:
            arrays |= {"inputs.mean": self.inputs.mean, "inputs.std": self.inputs.std}
        return ModelState("Segmenter", state.options, arrays)

    @classmethod
    def from_state(cls, state: ModelState) -> Segmenter:
        """Return the segmenter that `to_state` described.

        Parameters
        ----------
        state : ModelState

        Returns
        -------
        Segmenter

        Raises
        ------
        InvalidValueError, ShapeError
        """
        if state.name != "Segmenter":
            raise InvalidValueError(f"the model is of the kind {state.name}; expected a Segmenter")
        arrays = dict(state.parameters)
        scale = [arrays.pop(f"inputs.{name}", None) for name in ("mean", "std")]
        network = UNet.from_state(ModelState("UNet", state.options, arrays))
        return cls(network, None if scale[0] is None or scale[1] is None else Standardizer(*scale))


@collective_entry
def train_segmenter(
    network: UNet,
    x: Array,
    labels: Array,
    *,
    epochs: int,
    batch_size: int = 2,
    optimizer: Optimizer | None = None,
    schedule: Schedule | None = None,
    standardize: bool = True,
    tests: Mapping[str, tuple[Array, Array]] | None = None,
    seed: int = 0,
    save: Callable[[Checkpoint], None] | None = None,
    resume: Checkpoint | None = None,
    comm: Comm = None,
) -> tuple[Segmenter, Checkpoint]:
    """Train a U-Net to give labels: Dice and cross-entropy at every level, AdamW with a rate that falls as a cosine.

    Parameters
    ----------
    network : UNet
        Where to start; not changed.
    x : (n, in_channels, *grid) array
    labels : (n, *grid) integers
    epochs, batch_size : int
    optimizer : Optimizer, optional
        AdamW of rate 0.003 unless given.
    schedule : callable, optional
        Factor of the rate, see `train`; a cosine over the epochs unless given.
    standardize : bool
        Shift and scale the channels of the inputs.
    tests : dict of (x, labels), optional
        Their Dice, the mean over the classes that are there, is a metric `dice_<name>` of every epoch.
    seed, save, resume, comm
        As in `train`.

    Returns
    -------
    segmenter : Segmenter
    history : Checkpoint

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError, ConvergenceError
        On every rank.

    Notes
    -----
    Collective.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import UNet, UNetConfig, train_segmenter
    >>> x = np.random.default_rng(0).normal(size=(8, 1, 8, 8)).astype("f4")
    >>> segmenter, history = train_segmenter(UNet(UNetConfig(2, 1, 2, (8, 8))), x, (x[:, 0] > 0).astype(int), epochs=30)
    >>> bool((segmenter(x) == (x[:, 0] > 0)).mean() > 0.9)
    True
    """
    running = network.with_parameters(network.parameters)
    with agreed(comm, "train_segmenter"):
        loss = running.loss(comm)
        for what, (fields, truth) in {"x": (x, labels), **(tests or {})}.items():
            _check(network, fields, truth, what)
    inputs = Standardizer.fit(x) if standardize else None  # the same on all ranks, which see all the data

    def encode(a: Array) -> Array:
        return a if inputs is None else inputs.encode(a)

    shown = {name: (encode(fields), truth) for name, (fields, truth) in (tests or {}).items()}

    def evaluate(parameters: dict[str, Array]) -> dict[str, float]:
        segmenter = Segmenter(running.with_parameters(parameters))
        return {
            f"dice_{name}": float(np.nanmean(dice_scores(segmenter(fields), truth, segmenter.classes)))
            for name, (fields, truth) in shown.items()
        }

    history = train(
        loss,
        running.parameters,
        (encode(x), labels),
        optimizer=optimizer or AdamW(3e-3),
        epochs=epochs,
        batch_size=batch_size,
        schedule=schedule or cosine(epochs),
        seed=seed,
        evaluate=evaluate if shown else None,
        save=save,
        resume=resume,
        buffers=running.statistics,
        comm=comm,
    )
    return Segmenter(running.with_parameters(history.parameters), inputs), history


def _check(network: UNet, x: Array, labels: Array, what: str) -> None:
    """Raise unless fields and labels fit the network."""
    network.check_grid(tuple(x.shape))
    require_finite(x, what)
    if x.dtype != network.parameters["heads.0.weight"].dtype:
        raise DTypeError(f"{what} of dtype {x.dtype}; expected {network.parameters['heads.0.weight'].dtype}")
    if labels.dtype.kind not in "iu" or is_device_array(labels) != is_device_array(x):
        raise DTypeError(f"{what}: labels of dtype {labels.dtype}; expected integers, where the fields are")
    if tuple(labels.shape) != (len(x), *x.shape[2:]):
        raise ShapeError(f"{what}: labels of shape {tuple(labels.shape)}; expected {(len(x), *x.shape[2:])}")
    classes = network.config.out_channels
    if len(x) and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise InvalidValueError(
            f"{what}: labels from {int(labels.min())} to {int(labels.max())}; expected 0 to {classes - 1}"
        )
