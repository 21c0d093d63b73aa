"""Roles of parameters, and the maximal update parametrization: what is right at one width is right at all."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from sci.arguments import entry
from sci.errors import DTypeError, InvalidValueError, with_article
from sci.nn.core.trees import Tree, flatten_tree, named_arrays, unflatten_tree
from sci.nn.optim.adam import Adam, AdamW
from sci.nn.optim.adamp import SGDP, AdamP, WeightView
from sci.nn.optim.mfac import MFAC

__all__ = ["Role", "initial_factors", "rate_factors", "rescaled", "with_roles"]

Kind = Literal["input", "hidden", "output", "spectral", "bias", "gain"]
_WEIGHTS = ("input", "hidden", "output", "spectral")


@entry
@dataclass(frozen=True)
class Role:
    """What a parameter does in its network; the layer that makes it knows.

    Parameters
    ----------
    kind : {"input", "hidden", "output", "spectral", "bias", "gain"}
        A weight from numbers that do not grow with the width ("input"), between two axes of the width ("hidden"), to
        numbers that do not grow ("output"), one matrix a wavenumber ("spectral"), an added vector, or a factor of each
        channel that starts at a number of its own.
    fan_in, fan_out : int
        Numbers that each output sums, and outputs. A bias has those of its layer.
    modes : tuple of int
        Wavenumbers along each axis of a spectral weight.
    scale_invariant : "channel" or "layer", optional
        The network does not change when each row of the first axis, or the whole array, is scaled: what optimizers
        that project the radial part need to know.

    Raises
    ------
    InvalidValueError

    Examples
    --------
    >>> from sci.nn import Role
    >>> Role("hidden", 64, 64)
    Role('hidden', 64 -> 64)
    """

    kind: Kind
    fan_in: int
    fan_out: int
    modes: tuple[int, ...] = ()
    scale_invariant: WeightView | None = None

    def __post_init__(self) -> None:
        if min(self.fan_in, self.fan_out, *self.modes) < 1:
            raise InvalidValueError(f"{self!r}; expected positive numbers")
        if (self.kind == "spectral") != bool(self.modes):
            raise InvalidValueError(f"{self!r}; expected modes for spectral weights, and for no others")

    def __repr__(self) -> str:
        modes = f", modes {'x'.join(map(str, self.modes))}" if self.modes else ""
        invariant = f", scale-invariant by {self.scale_invariant}" if self.scale_invariant else ""
        return f"Role({self.kind!r}, {self.fan_in} -> {self.fan_out}{modes}{invariant})"


def _ratios(role: Role, base: Role) -> tuple[float, float]:
    """Return the ratio of the fans in, and that of the sums of the logarithms of the modes."""
    if not role.modes:
        return role.fan_in / base.fan_in, 1.0
    logs = [sum(math.log(k) for k in r.modes) for r in (role, base)]
    if logs[0] != logs[1] and min(logs) <= 0:
        raise InvalidValueError(
            f"{role} and {base}: one mode has no logarithm to scale by; expected at least two modes"
        )
    return role.fan_in / base.fan_in, 1.0 if logs[0] == logs[1] else logs[0] / logs[1]


def _named_roles(tree: Tree, what: str) -> Mapping[str, Role]:
    roles = flatten_tree(tree)
    for name, role in roles.items():
        if not isinstance(role, Role):
            raise DTypeError(f"{what}[{name!r}] is {role!r:.60}, {with_article(type(role).__name__)}; expected a Role")
    return roles


def _paired(roles: Tree, base: Tree) -> dict[str, tuple[Role, Role]]:
    roles, base = _named_roles(roles, "roles"), _named_roles(base, "base")
    if set(roles) != set(base):
        odd = sorted(set(roles) ^ set(base))[:5]
        raise InvalidValueError(f"model and base model do not have the same parameters: {', '.join(odd)}")
    for name, role in roles.items():
        other = base[name]
        if role.kind != other.kind or len(role.modes) != len(other.modes):
            raise InvalidValueError(f"parameter {name} is {role} in the model and {other} in the base model")
        outside = {"input": "fan_in", "output": "fan_out"}.get(role.kind)
        if outside and getattr(role, outside) != getattr(other, outside):
            raise InvalidValueError(
                f"parameter {name} is {role} in the model and {other} in the base model; expected one number of "
                "channels of input and output in both"
            )
    return {name: (role, base[name]) for name, role in roles.items()}


@entry
def initial_factors(roles: Tree, base: Tree) -> dict[str, float]:
    """Return by what the standard initial values of each parameter are multiplied under the maximal update rule.

    Standard are weights and biases of deviation proportional to 1 / sqrt(fan_in). With k the ratio of the fans in and s
    that of d log(modes): output weights k^(-1/2), biases k^(1/2), spectral weights s^(-1/2), all others 1.

    Parameters
    ----------
    roles, base : dict name -> Role, or the tree of them in the form of the parameters
        Of the model, and of the narrow model whose hyper-parameters are to hold.

    Returns
    -------
    dict name -> float

    Raises
    ------
    InvalidValueError
        If the models do not have the same parameters in the same roles.

    References
    ----------
    Yang and Hu, ICML 2021, arXiv:2011.14522; Yang et al., arXiv:2203.03466, table 3; the modes: Li et al.,
    arXiv:2506.19396 (variance 1 / (d log K)).

    Examples
    --------
    >>> from sci.nn import Role, initial_factors
    >>> initial_factors({"w": Role("output", 64, 1)}, {"w": Role("output", 16, 1)})
    {'w': 0.5}
    """
    found = {}
    for name, (role, other) in _paired(roles, base).items():
        k, s = _ratios(role, other)
        found[name] = {"output": k**-0.5, "bias": k**0.5, "spectral": s**-0.5}.get(role.kind, 1.0)
    return found


@entry
def rate_factors(roles: Tree, base: Tree, *, rule: Literal["adam", "sgd"] = "adam") -> dict[str, float]:
    """Return by what the learning rate of each parameter is multiplied under the maximal update rule.

    For steps of Adam: 1 / k for hidden, output and spectral weights, these also s^(-1/2); 1 for all others. For steps
    along the gradient: the ratio of the fans out for input weights, biases and gains, 1 / k for output weights, 1 for
    hidden ones.

    Parameters
    ----------
    roles, base : dict name -> Role, or the tree of them in the form of the parameters
    rule : {"adam", "sgd"}

    Returns
    -------
    dict name -> float

    Raises
    ------
    InvalidValueError
        Also for "sgd" with other modes than the base model's, for which there is no rule.

    References
    ----------
    As `initial_factors`; the rate of spectral weights is Li et al.'s, 1 / sqrt(d log K).

    Examples
    --------
    >>> from sci.nn import Role, rate_factors
    >>> roles, base = {"w": Role("hidden", 64, 64)}, {"w": Role("hidden", 16, 16)}
    >>> rate_factors(roles, base), rate_factors(roles, base, rule="sgd")
    ({'w': 0.25}, {'w': 1.0})
    """
    found = {}
    for name, (role, other) in _paired(roles, base).items():
        k, s = _ratios(role, other)
        if rule == "adam":
            found[name] = s**-0.5 / k if role.kind in ("hidden", "output", "spectral") else 1.0
            continue
        if s != 1:
            raise InvalidValueError(
                f"parameter {name} is {role} in the model and {other} in the base model: the rule of the modes is for "
                "steps of Adam; use Adam, or keep the modes"
            )
        wider = role.fan_out / other.fan_out
        found[name] = {"hidden": 1.0, "spectral": 1.0, "output": 1 / k}.get(role.kind, wider)
    return found


@entry
def rescaled(parameters: Tree, roles: Tree, base: Tree) -> Any:
    """Return standard initial values under the maximal update rule: new arrays, times `initial_factors`.

    Parameters
    ----------
    parameters : dict of arrays, or of dicts and lists of them
        Of deviation proportional to 1 / sqrt(fan_in). Not to be applied twice.
    roles, base : dict name -> Role, or the tree of them in the form of the parameters

    Returns
    -------
    arrays in the form of `parameters`

    Raises
    ------
    InvalidValueError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import Role, rescaled
    >>> rescaled({"w": np.ones(2)}, {"w": Role("output", 64, 1)}, {"w": Role("output", 16, 1)})
    {'w': array([0.5, 0.5])}
    """
    arrays, named = named_arrays(parameters, "parameters"), _named_roles(roles, "roles")
    if set(arrays) != set(named):
        odd = ", ".join(sorted(set(arrays) ^ set(named))[:5])
        raise InvalidValueError(f"no role, or no parameter, for {odd}; expected one role for each parameter")
    factors = initial_factors(roles, base)
    scaled = {name: array * array.real.dtype.type(factors[name]) for name, array in arrays.items()}
    return unflatten_tree(scaled, parameters)


@entry
def with_roles(optimizer: Adam | AdamP | SGDP | MFAC, roles: Tree, *, base: Tree | None = None) -> Any:
    """Return an optimizer that knows the roles: its rates for each parameter, and which weights are scale-invariant.

    Parameters
    ----------
    optimizer : Adam, AdamW, AdamP, SGDP or MFAC
    roles : dict name -> Role
    base : dict name -> Role, optional
        Roles in the model whose learning rate holds; one rate for all parameters unless given.

    Returns
    -------
    optimizer of the same class

    Raises
    ------
    InvalidValueError
        Also for a weight decay that is added to the gradient, whose scaling is not known: use `AdamW`.

    Notes
    -----
    Decoupled weight decay takes learning_rate weight_decay off a weight whatever its factor, so that the balance of
    decay and steps is the same at all widths.

    Examples
    --------
    >>> from sci.nn import Adam, Role, with_roles
    >>> with_roles(Adam(1e-2), {"w": Role("hidden", 64, 64)}, base={"w": Role("hidden", 16, 16)}).rates
    {'w': 0.25}
    """
    changes: dict[str, Any] = {}
    roles = _named_roles(roles, "roles")
    if isinstance(optimizer, AdamP | SGDP):
        invariant = {name: role.scale_invariant for name, role in roles.items() if role.scale_invariant}
        changes["scale_invariant"] = {**invariant, **optimizer.scale_invariant}
    if base is not None:
        if optimizer.weight_decay and not isinstance(optimizer, AdamW | AdamP | SGDP):
            raise InvalidValueError(
                f"weight_decay is {optimizer.weight_decay:g} in {type(optimizer).__name__}, which adds it to the "
                "gradient: no rule says how it scales; expected 0, or AdamW"
            )
        if isinstance(optimizer, MFAC):
            raise InvalidValueError("no rule of the maximal update is known for steps of M-FAC; expected Adam or SGDP")
        rule: Literal["adam", "sgd"] = "sgd" if isinstance(optimizer, SGDP) else "adam"
        changes["rates"] = rate_factors(roles, base, rule=rule)
    return replace(optimizer, **changes)
