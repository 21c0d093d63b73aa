"""Parameters, multiply-adds and activations of a model, and the memory that it takes, from its own code on shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import ShapeArray, shape_array, tallying
from sci.errors import InvalidValueError
from sci.nn import Optimizer, Tape, count_parameters, value_of
from sci.nn.core.op import around_ops
from sci.nn.core.trees import map_tree
from sci.options import options

__all__ = ["Counts", "LayerCounts", "Memory", "TrainingMemory", "count", "inference_memory", "training_memory"]


@dataclass(frozen=True)
class LayerCounts:
    """What the layers of one name do together.

    Parameters
    ----------
    name : str
        Of the op.
    calls : int
    flops : int
        Multiply-adds, without those of ops inside.
    activations : int
        Entries of the results.

    Examples
    --------
    >>> from sci.scaling import Layer, count_layers
    >>> count_layers([Layer("head", 3, 5, 1, (4, 4))]).layers
    (LayerCounts(name='head', calls=1, flops=240, activations=80),)
    """

    name: str
    calls: int
    flops: int
    activations: int


@dataclass(frozen=True)
class Counts:
    """Parameters, flops and activations of a model for one input, counted exactly.

    Parameters
    ----------
    parameters : int
        Real numbers; a complex one counts twice.
    flops : int
        Multiply-adds of real numbers in products, contractions, transforms and factorizations, as is usual for
        networks; twice as many operations. Functions of single entries and normalizations are not counted.
    activations : int
        Entries that the layers with products give out, biases and activation functions not counted again.
    entrywise : int
        Entries that functions of single entries make, apart: most of the work of stencils, little of that of a network.
    layers : tuple of LayerCounts
        By name, in the order of their first call; flops outside of ops are in none.

    Examples
    --------
    >>> from sci.scaling import Counts
    >>> Counts(10, 2_000, 100)
    Counts(10 parameters, 2,000 multiply-adds, 100 activations)
    """

    parameters: int
    flops: int
    activations: int
    entrywise: int = 0
    layers: tuple[LayerCounts, ...] = ()

    def __repr__(self) -> str:
        return f"Counts({self.parameters:,} parameters, {self.flops:,} multiply-adds, {self.activations:,} activations)"


@dataclass(frozen=True)
class Memory:
    """Bytes that a model takes for one batch without derivatives.

    Parameters
    ----------
    parameters : int
    peak : int
        Of parameters, inputs and all that is held at one time.

    Examples
    --------
    >>> from sci.scaling import Memory
    >>> Memory(parameters=192, peak=632).peak
    632
    """

    parameters: int
    peak: int


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes and multiply-adds of one step of a training.

    Parameters
    ----------
    parameters, state : int
        Parameters, and what the optimizer keeps beside them.
    residuals : int
        What the tape keeps from the forward pass for the derivative.
    peak : int
        Of parameters, state, batch, residuals, gradients and scratch arrays that are held at one time.
    flops : int
        Multiply-adds of the step: forward, derivative, optimizer.

    Examples
    --------
    >>> from sci.scaling import TrainingMemory
    >>> TrainingMemory(parameters=192, state=384, residuals=320, peak=1500, flops=240).state
    384
    """

    parameters: int
    state: int
    residuals: int
    peak: int
    flops: int


@entry
def count(function: Callable[..., Any], parameters: Any, *inputs: Any) -> Counts:
    """Count parameters, multiply-adds and activations of `function(parameters, *inputs)`, without computing it.

    Parameters
    ----------
    function : callable
        Like the `forward` of a model: a function of ops of `sci.nn`, or of array calls.
    parameters : array, or a dict, list or tuple of arrays, nested as you like
        Arrays, or `sci.backend.shape_array`s: their numbers are not read.
    *inputs : arrays, and anything else
        Arrays of floats in trees lend their shapes; integers, like tokens and labels, are passed on with all else.

    Returns
    -------
    Counts

    Raises
    ------
    DTypeError
        If the model's work depends on the numbers, or it calls what has no shapes here.
    InvalidValueError
        If it calls a kernel that has no array formulation, whose work nobody counts.

    Notes
    -----
    The model's own code runs on arrays without numbers, kernels by their references, so that what is counted is what
    runs. Milliseconds; seconds for volumes, whose fields the code walks through in tiles.

    Examples
    --------
    >>> from sci.backend import shape_array
    >>> from sci.nn import gelu, linear
    >>> from sci.scaling import count
    >>> def perceptron(p, x):
    ...     return linear(gelu(linear(x, p["v"])), p["w"])
    >>> count(perceptron, {"v": shape_array((8, 3)), "w": shape_array((2, 8))}, shape_array((5, 3)))
    Counts(40 parameters, 200 multiply-adds, 50 activations)
    """
    with options(kernels="reference"), tallying() as tally:
        weights, given = as_shapes(parameters), as_shapes(inputs)
        inner = [0]
        layers: dict[str, list[int]] = {}

        def around(name: str, call: Callable[[], Any]) -> Any:
            before = tally.multiply_adds
            inner.append(0)
            out = call()
            whole = tally.multiply_adds - before
            own = whole - inner.pop()
            inner[-1] += whole
            found = layers.setdefault(name, [0, 0, 0])
            results = out if isinstance(out, tuple) else (out,)
            entries = sum(int(value_of(part).size) for part in results if part is not None)
            for k, n in enumerate((1, own, entries if own else 0)):
                found[k] += n
            return out

        with around_ops(around):
            function(weights, *given)
        _require_counted(tally.launches)
    counted = tuple(LayerCounts(name, *numbers) for name, numbers in layers.items())
    activations = sum(layer.activations for layer in counted)
    return Counts(_parameters(weights), tally.multiply_adds, activations, tally.entrywise, counted)


def _require_counted(launches: int) -> None:
    if launches:
        raise InvalidValueError(
            f"{launches} launches of kernels without an array formulation, whose work is not known; expected ops that "
            "follow the option kernels"
        )


@entry
def inference_memory(function: Callable[..., Any], parameters: Any, *inputs: Any) -> Memory:
    """Return the memory that `function(parameters, *inputs)` takes, without computing it.

    Parameters
    ----------
    function, parameters, *inputs
        As in `count`.

    Returns
    -------
    Memory

    Notes
    -----
    NumPy's arrays and the kernels that are in force here; scratch memory of BLAS and of Python is not in it.

    Examples
    --------
    >>> from sci.backend import shape_array
    >>> from sci.nn import linear
    >>> from sci.scaling import inference_memory
    >>> inference_memory(lambda p, x: linear(x, p), shape_array((8, 3)), shape_array((5, 3)))
    Memory(parameters=192, peak=632)
    """
    with tallying() as tally:
        weights = as_shapes(parameters)
        held = tally.live
        function(weights, *as_shapes(inputs))
        return Memory(held, tally.peak)


@entry
def training_memory(
    loss: Callable[..., Any], parameters: Mapping[str, Any], batch: Any, optimizer: Optimizer | None = None
) -> TrainingMemory:
    """Return memory and multiply-adds of one step of a training, without computing it.

    Parameters
    ----------
    loss : callable
        `loss(variables, batch)` returns a scalar variable, as `sci.nn.train` takes it.
    parameters : dict of arrays
        Arrays, or `sci.backend.shape_array`s.
    batch : arrays in trees
        One batch.
    optimizer : Optimizer, optional
        Without one there are no state and no step.

    Returns
    -------
    TrainingMemory

    Raises
    ------
    DTypeError, InvalidValueError
        As in `count`.

    Examples
    --------
    >>> from sci.backend import shape_array
    >>> from sci.nn import Adam, linear, mean_squared_error
    >>> from sci.scaling import training_memory
    >>> def loss(p, batch):
    ...     return mean_squared_error(linear(batch[0], p["w"]), batch[1])
    >>> weights, batch = {"w": shape_array((8, 3))}, (shape_array((5, 3)), shape_array((5, 8)))
    >>> found = training_memory(loss, weights, batch, Adam())
    >>> found.parameters, found.state, found.residuals, found.flops
    (192, 384, 328, 240)
    """
    with tallying() as tally:
        weights = as_shapes(parameters)
        held = tally.live
        state = {} if optimizer is None else optimizer.start(weights)
        kept = tally.live - held
        given = as_shapes(batch)
        before = tally.live
        residuals = _step(loss, weights, given, optimizer, state, lambda: tally.live) - before
        peak = tally.peak
    with options(kernels="reference"), tallying() as tally:
        weights = as_shapes(parameters)
        state = {} if optimizer is None else optimizer.start(weights)
        _step(loss, weights, as_shapes(batch), optimizer, state, lambda: 0)
        _require_counted(tally.launches)
    return TrainingMemory(held, kept, residuals, peak, tally.multiply_adds)


def _step(loss: Any, weights: Any, batch: Any, optimizer: Any, state: Any, held: Callable[[], int]) -> int:
    """Make one step, and return `held()` of the moment between the forward pass and the derivative."""
    variables = Tape().watch(weights)
    value = loss(variables, batch)
    value = value[0] if isinstance(value, tuple) else value
    between = held()
    value.backward()
    del value
    gradients = map_tree(_gradient, variables)
    del variables
    if optimizer is not None:
        optimizer.update(weights, gradients, state, 1, 1.0)
    return between


def _gradient(variable: Any) -> Any:
    value = variable.value
    return shape_array(value.shape, value.dtype) if variable.gradient is None else variable.gradient


def as_shapes(tree: Any) -> Any:
    """Return a tree with an array without numbers, made anew, in place of each array of floats; integers stay."""

    def outline(leaf: Any) -> Any:
        if not isinstance(leaf, ShapeArray) and not (hasattr(leaf, "dtype") and hasattr(leaf, "strides")):
            return leaf
        if leaf.dtype.kind in "fc":
            return shape_array(leaf.shape, leaf.dtype)
        # Tokens, labels and indices: code reads them, and 0 is one of each.
        return np.zeros(leaf.shape, leaf.dtype) if isinstance(leaf, ShapeArray) else leaf

    return map_tree(outline, tree)


def _parameters(tree: Any) -> int:
    """Return the number of real parameters in a tree."""
    leaves: list[Any] = []
    map_tree(leaves.append, tree)
    return count_parameters({str(k): leaf for k, leaf in enumerate(leaves) if isinstance(leaf, ShapeArray)})
