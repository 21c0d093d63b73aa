"""Trees of parameters: nested dicts and lists of arrays, and the one rule of names for their leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np

from sci.arguments import entry
from sci.errors import DTypeError, InvalidValueError, with_article

__all__ = ["Tree", "flatten_tree", "map_tree", "named_arrays", "structure_of", "tree_from", "unflatten_tree"]

Tree: TypeAlias = Any
"""Nested dicts, lists and tuples; what takes one holds it against that when it names the leaves."""

_BRANCHES = (Mapping, list, tuple)
_HOST = np.ndarray


def map_tree(function: Callable[[Any], Any], tree: Any) -> Any:
    """Return a tree of dicts, lists and tuples with `function` of every leaf."""
    if type(tree) is _HOST:
        return function(tree)
    if isinstance(tree, Mapping):
        return {key: map_tree(function, branch) for key, branch in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(map_tree(function, branch) for branch in tree)
    return function(tree)


def is_flat(tree: Any) -> bool:
    """Whether a tree is a dict of leaves; host arrays are told by their class, which is much faster."""
    if type(tree) is not dict and not isinstance(tree, Mapping):
        return False
    return not any(type(branch) is not _HOST and isinstance(branch, _BRANCHES) for branch in tree.values())


def _leaves(tree: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield names and leaves in order."""
    for key, branch in tree.items() if isinstance(tree, Mapping) else enumerate(tree):
        if isinstance(tree, Mapping) and not isinstance(key, str):
            raise InvalidValueError(f"a key {key!r} in a tree of parameters; expected texts")
        if isinstance(branch, _BRANCHES):
            yield from _leaves(branch, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", branch


@entry
def flatten_tree(tree: Tree) -> Mapping[str, Any]:
    """Return the leaves of nested dicts and lists by name: the keys and places that lead to one, joined by dots.

    Parameters
    ----------
    tree : dict, list or tuple, nested as you like
        Of arrays, variables, roles, anything.

    Returns
    -------
    dict
        Like "block.0.weight"; in the order of the tree, with the leaves themselves. A flat dict is returned as it is.

    Raises
    ------
    InvalidValueError, DTypeError
        For a key that is no text, two leaves of one name, or an array in the place of a tree.

    Notes
    -----
    The names of files, optimizers, their states and rates, roles, messages and gradients over ranks.

    Examples
    --------
    >>> from sci.nn import flatten_tree
    >>> flatten_tree({"block": [{"weight": 1.0}, {"weight": 2.0}], "head": 3.0})
    {'block.0.weight': 1.0, 'block.1.weight': 2.0, 'head': 3.0}
    """
    return _flattened(tree)


def _flattened(tree: Any) -> Mapping[str, Any]:
    if type(tree) is not dict and not isinstance(tree, _BRANCHES):
        raise DTypeError(f"flatten_tree: tree is {with_article(type(tree).__name__)}; expected nested dicts and lists")
    if isinstance(tree, Mapping) and is_flat(tree):
        return tree
    found: dict[str, Any] = {}
    for name, leaf in _leaves(tree, ""):
        if name in found:
            raise InvalidValueError(f"two parameters are named {name!r} in a tree; expected keys that tell them apart")
        found[name] = leaf
    return found


@entry
def unflatten_tree(leaves: Mapping[str, Any], like: Tree) -> Any:
    """Return a tree of the form of another, with leaves by name: the reverse of `flatten_tree`.

    Parameters
    ----------
    leaves : dict
        By the names of `flatten_tree(like)`.
    like : dict, list or tuple, nested as you like

    Returns
    -------
    tree

    Raises
    ------
    InvalidValueError
        If the names are others.

    Examples
    --------
    >>> from sci.nn import unflatten_tree
    >>> unflatten_tree({"block.0": 1.0, "block.1": 2.0}, {"block": [None, None]})
    {'block': [1.0, 2.0]}
    """
    names = flatten_tree(like)
    if leaves.keys() != names.keys():
        odd = ", ".join(sorted(set(leaves) ^ set(names))[:5])
        raise InvalidValueError(f"no leaf, or no place, for {odd}; expected the names of the tree")
    return leaves if names is like else tree_from(structure_of(like), leaves)


def named_arrays(tree: Any, what: str) -> Mapping[str, Any]:
    """Return the leaves of a tree by name, as `flatten_tree`; raise DTypeError for one that is no array of numbers."""
    if type(tree) is not dict and not isinstance(tree, _BRANCHES):
        raise DTypeError(f"{what} is {with_article(type(tree).__name__)}; expected arrays in nested dicts and lists")
    leaves = _flattened(tree)
    for name, leaf in leaves.items():
        if type(leaf) is _HOST and leaf.dtype.kind in "fc" and leaf.dtype.isnative:
            continue
        dtype: Any = getattr(leaf, "dtype", None)
        if getattr(dtype, "kind", "") not in ("b", "i", "u", "f", "c") or not dtype.isnative or isinstance(leaf, type):
            raise DTypeError(
                f"{what}[{name!r}] is {leaf!r:.60}, {with_article(type(leaf).__name__)}; "
                "expected an array of numbers in the "
                "machine's byte order"
            )
    return leaves


def structure_of(tree: Any, prefix: str = "") -> Any:
    """Return a tree of dicts and lists whose leaves are their names: what a file notes of the form of a tree."""
    if isinstance(tree, Mapping):
        return {key: structure_of(branch, f"{prefix}.{key}" if prefix else str(key)) for key, branch in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(structure_of(b, f"{prefix}.{k}" if prefix else str(k)) for k, b in enumerate(tree))
    return prefix


def tree_from(structure: Any, leaves: Mapping[str, Any]) -> Any:
    """Return the tree of a `structure_of`, with leaves by name."""
    return map_tree(leaves.__getitem__, structure)
