"""Activations of any model made of ops: what its layers return for a set of samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from sci.arguments import entry
from sci.backend import Array, namespace
from sci.errors import InvalidValueError
from sci.nn.core.op import watched
from sci.nn.core.tape import value_of

__all__ = ["collect_activations"]


@entry
def collect_activations(
    model: Callable[[Array], Any], x: Array, *, layers: Sequence[str] | None = None, batch_size: int = 64
) -> dict[str, Array]:
    """Collect the values that the layers of a model return for samples, in the order in which they are computed.

    Parameters
    ----------
    model : callable
        Takes samples (m, ...): a `TrainedOperator`, an `FNO`, or a function that calls ops of `sci.nn` or your own.
    x : (n, ...) array
        Samples.
    layers : sequence of str, optional
        Names of the layers to keep; all unless given, whose activations may take much memory.
    batch_size : int
        Samples at a time.

    Returns
    -------
    dict of (n, ...) arrays
        By the name of the op and the number of its call, like "gelu_0": every value whose first axis follows the number
        of samples.

    Raises
    ------
    InvalidValueError
        For no samples, a layer that does not exist, or a model that calls no op.

    Notes
    -----
    An op that calls others inside, like a fused block, is one layer. The model runs twice more, on one and on two
    samples, to tell activations from what it computes of its parameters.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import collect_activations, gelu, linear
    >>> rng = np.random.default_rng(0)
    >>> v, w = rng.normal(size=(8, 3)), rng.normal(size=(2, 8))
    >>> found = collect_activations(lambda x: linear(gelu(linear(x, v)), w), np.ones((5, 3)))
    >>> {name: values.shape for name, values in found.items()}
    {'linear_0': (5, 8), 'gelu_0': (5, 8), 'linear_1': (5, 2)}
    """
    if len(x) < 1 or batch_size < 1:
        raise InvalidValueError(f"{len(x)} samples in batches of {batch_size}; expected at least one of both")
    names = [name for name, value in _run(model, x[:1]).items() if _rows(value) == 1]
    if len(x) > 1:
        two = _run(model, x[:2])
        names = [name for name in names if _rows(two.get(name)) == 2]
    unknown = sorted(set(layers or ()) - set(names))
    if unknown or not names:
        raise InvalidValueError(
            f"the model has no layer {', '.join(unknown)}; its layers are {', '.join(names)}"
            if names
            else "the model calls no op whose value follows the samples; expected a function of ops of sci.nn"
        )
    kept = [name for name in names if layers is None or name in layers]
    parts: dict[str, list[Array]] = {name: [] for name in kept}
    for start in range(0, len(x), batch_size):
        batch = x[start : start + batch_size]
        found = _run(model, batch, kept)
        for name in kept:
            if _rows(found.get(name)) != len(batch):
                raise InvalidValueError(
                    f"layer {name} has {_rows(found.get(name))} rows for {len(batch)} samples; expected one for each"
                )
            parts[name].append(found[name])
    return {name: p[0] if len(p) == 1 else namespace(*p).concatenate(p) for name, p in parts.items()}


def _run(model: Callable[[Array], Any], x: Array, kept: Sequence[str] | None = None) -> dict[str, Array]:
    """Return the values of the ops that a model calls, by name."""
    calls: Counter[str] = Counter()
    found: dict[str, Array] = {}

    def see(op: str, out: Any) -> None:
        name = f"{op}_{calls[op]}"
        calls[op] += 1
        several = out if isinstance(out, tuple) else (out,)
        for k, value in enumerate(several):
            label = f"{name}.{k}" if len(several) > 1 else name
            if kept is None or label in kept:
                found[label] = value_of(value)

    with watched(see):
        model(x)
    return found


def _rows(value: Any) -> int:
    """Return the length of the first axis; -1 for anything else."""
    return int(value.shape[0]) if getattr(value, "ndim", 0) > 0 else -1
