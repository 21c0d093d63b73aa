"""A model whose weights are codes: it predicts as it is, and gives the dense model back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from sci.arguments import Computed, entry
from sci.errors import InvalidValueError
from sci.nn import CodedWeight, ModelState, fingerprint, flatten_tree, unflatten_tree
from sci.nn.core.coded import decoded

__all__ = ["CompressedModel", "WeightReport"]


@entry
@dataclass(frozen=True)
class WeightReport:
    """What became of one weight.

    Parameters
    ----------
    bits : int
        Of a code.
    groups : int
        Codebooks.
    start_error, error : float
        Root mean square difference over root mean square of what the weight makes of calibration samples, in its layer:
        with k-means codebooks and nearest codes, and learned. Of the entries alone where `calibrated` is false.
    calibrated : bool
        Whether inputs of the weight were seen: it was multiplied by an op with a known rule.

    Examples
    --------
    >>> from sci.compression import WeightReport
    >>> WeightReport(4, 2, 0.05, 0.03, True)
    WeightReport(4 bits, 2 groups, error 0.05 -> 0.03)
    """

    bits: int
    groups: int
    start_error: Computed
    error: Computed
    calibrated: bool

    def __repr__(self) -> str:
        of = "" if self.calibrated else " of the entries"
        groups = f"{self.groups} group{'s' * (self.groups > 1)}"
        bits = f"{self.bits} bit{'s' * (self.bits > 1)}"
        return f"WeightReport({bits}, {groups}, error{of} {self.start_error:.3g} -> {self.error:.3g})"


@entry
class CompressedModel:
    """A model whose large weights are codes of few bits into codebooks, from `compress_model`.

    It is called as the model is, and computes with the codes where an op has a rule for them (`linear`,
    `pointwise_conv`, dense spectral convolutions); other ops decode their weights for the time of the call.
    `sci.io.save` and `load` keep it.

    Parameters
    ----------
    cls : type
        Class of the model, with `from_state`.
    state : ModelState
        Of the model, with `CodedWeight` in the place of arrays.
    original : str
        The `fingerprint` of the parameters that were compressed.
    halves : sequence of str
        Names of small parameters that a file keeps as float16; they have such values.
    reports : dict of WeightReport
        For each weight of codes.
    output_error : float
        Root mean square difference of the outputs from those of the model, over that of these, on the calibration
        samples.

    Raises
    ------
    InvalidValueError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.compression import compress_model
    >>> from sci.operators import FNO, TrainedOperator
    >>> operator = TrainedOperator(FNO((8, 8), 1, 1, 16, 2))
    >>> x = np.random.default_rng(0).normal(size=(8, 1, 16, 16)).astype(np.float32)
    >>> small = compress_model(operator, 4, x, steps=5)
    >>> small(x).shape, bool(small.ratio > 6), type(small.fold()).__name__
    ((8, 1, 16, 16), True, 'TrainedOperator')
    """

    def __init__(
        self,
        cls: type,
        state: ModelState,
        original: str,
        *,
        halves: Any = (),
        reports: Mapping[str, WeightReport] | None = None,
        output_error: Computed = 0.0,
    ) -> None:
        self.cls, self.state, self.original = cls, state, original
        self.halves, self.reports, self.output_error = tuple(halves), dict(reports or {}), float(output_error)
        leaves = flatten_tree(state.parameters)
        self.codes: dict[str, CodedWeight] = {n: a for n, a in leaves.items() if isinstance(a, CodedWeight)}
        unknown = sorted({*self.reports, *self.halves} - set(leaves))
        if not self.codes or unknown:
            what = f"of {', '.join(unknown)}" if unknown else "without a weight of codes"
            raise InvalidValueError(f"a compressed model {what}; expected codes of some parameters")
        for name in self.halves:
            if bool((leaves[name].astype(np.float16).astype(leaves[name].dtype) != leaves[name]).any()):
                raise InvalidValueError(f"the parameter {name} has values that float16 does not have")

    def __repr__(self) -> str:
        n = len(self.codes)
        return (
            f"CompressedModel({self.cls.__name__}, {n} weight{'s' * (n > 1)} of {self.bits} bits, {self.nbytes:,} of "
            f"{self.dense_nbytes:,} bytes, {self.ratio:.1f} times smaller, output error {self.output_error:.2g})"
        )

    @cached_property
    def model(self) -> Any:
        """The model, whose parameters are codes: for calls, not for training."""
        make: Any = self.cls
        return make.from_state(self.state)

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Return the outputs of the model."""
        return self.model(*args, **options)

    @property
    def bits(self) -> str:
        """Bits of the codes, like "2" or "2-4"."""
        found = sorted({c.bits for c in self.codes.values()})
        return str(found[0]) if len(found) == 1 else f"{found[0]}-{found[-1]}"

    @property
    def nbytes(self) -> int:
        """Bytes of all parameters in this form."""
        leaves = flatten_tree(self.state.parameters)
        return sum(int(a.nbytes) // (2 if n in self.halves else 1) for n, a in leaves.items())

    @property
    def dense_nbytes(self) -> int:
        """Bytes of the parameters of the dense model."""
        return sum(int(a.size) * a.dtype.itemsize for a in flatten_tree(self.state.parameters).values())

    @property
    def ratio(self) -> float:
        """How many times smaller the parameters are."""
        return self.dense_nbytes / self.nbytes

    def fold(self) -> Any:
        """Return the model with dense arrays in the place of codes: the same values, also for training."""
        make: Any = self.cls
        return make.from_state(ModelState(self.state.name, self.state.options, self.parameters()))

    def parameters(self) -> Any:
        """Return all parameters as dense arrays, in their form."""
        leaves = flatten_tree(self.state.parameters)
        return unflatten_tree({name: decoded(a) for name, a in leaves.items()}, self.state.parameters)

    def require(self, model: Any) -> None:
        """Refuse a model that these codes were not made of.

        Raises
        ------
        InvalidValueError
        """
        found = fingerprint(model.to_state().parameters)
        if found != self.original:
            raise InvalidValueError(
                f"the codes belong to a model with the fingerprint {self.original[:8]}, and this one has {found[:8]}; "
                "expected the model that was compressed, unchanged"
            )
