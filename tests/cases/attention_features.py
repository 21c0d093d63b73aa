"""Attention as experts call it: cases with every option, and outputs and gradients by dense sums in double precision.

The oracle repeats keys for groups of heads, tells pairs apart in tables, and differentiates the whole matrix of
weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sci.backend.philox import philox
from sci.distributed import positions
from sci.sequence import PairScore, softmax_attention

FEATURE = np.random.default_rng(11).normal(size=(2, 64))
"""A number of each query and of each key, from which a callable makes a bias."""


def pair_bias(parameters: np.ndarray, queries: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Parameters (2, heads): a slope and a square of the difference of two features, for each head."""
    apart = FEATURE[0][queries][:, None] - FEATURE[1][keys]
    return parameters[0][:, None, None] * apart + parameters[1][:, None, None] * apart**2


def pair_bias_vjp(parameters: np.ndarray, queries: np.ndarray, keys: np.ndarray, dbias: np.ndarray) -> np.ndarray:
    apart = FEATURE[0][queries][:, None] - FEATURE[1][keys]
    return np.stack([(dbias * apart).sum(axis=(1, 2)), (dbias * apart**2).sum(axis=(1, 2))])


SCORE = PairScore(pair_bias, pair_bias_vjp)


@dataclass(frozen=True)
class Case:
    """A call of `softmax_attention` on whole sequences, in double precision."""

    n: int = 13
    m: int = 13
    heads: int = 3
    key_heads: int = 3
    d: int = 5
    width: int = 5
    batch: tuple[int, ...] = ()
    bias: tuple[int, ...] | None = None
    mask: tuple[int, ...] | None = None
    sinks: bool = False
    score: bool = False
    options: dict[str, Any] = field(default_factory=dict)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return q, k, v, dout, dlse and what else the case needs."""
        rng = np.random.default_rng(5)
        lead = (*self.batch, self.heads)
        shapes = {"q": (*lead, self.n, self.d), "k": (*self.batch, self.key_heads, self.m, self.d)}
        shapes |= {"v": (*self.batch, self.key_heads, self.m, self.width), "dout": (*lead, self.n, self.width)}
        shapes |= {"dlse": (*lead, self.n)}
        if self.bias is not None:
            shapes["bias"] = self.bias
        if self.sinks:
            shapes["sinks"] = (self.heads,)
        if self.score:
            shapes["parameters"] = (2, self.heads)
        found = {name: rng.normal(size=shape) for name, shape in shapes.items()}
        if self.mask is not None:
            found["mask"] = rng.random(self.mask) < 0.6
        return found


def seen_table(case: Case) -> np.ndarray:
    """Return (..., n, m): True where a query sees a key, pair by pair."""
    o, n, m = case.options, case.n, case.m
    ids, key_ids = o.get("segments"), o.get("key_segments", o.get("segments"))
    rows = 1 if ids is None else max(np.atleast_2d(ids).shape[0], np.atleast_2d(key_ids).shape[0])
    table = np.zeros((rows, n, m), bool)
    window = o.get("window")
    before, after = window if isinstance(window, tuple) else (window, window)
    level = None if o.get("blocks") is None else np.repeat(np.arange(len(o["blocks"])), o["blocks"])
    for b in range(rows):
        own = np.zeros(n, int) if ids is None else np.broadcast_to(ids, (rows, n))[b]
        other = np.zeros(m, int) if ids is None else np.broadcast_to(key_ids, (rows, m))[b]
        for i in range(n):
            mine = np.flatnonzero(other == own[i])
            if own[i] < 0 or not mine.size:
                continue
            place = place_of(case, i, own, other)
            for j in mine:
                near = (before is None or j >= place - before) and (after is None or j <= place + after)
                near = near or j in mine[: o.get("sink_tokens", 0)]
                early = not o.get("causal") or j <= place
                table[b, i, j] = near and early and (level is None or level[j] <= level[i])
    return table


def place_of(case: Case, i: int, own: np.ndarray, other: np.ndarray) -> int:
    """Return the place of a query among the keys."""
    offset = case.options.get("offset")
    if offset is not None:
        return i + offset
    if "key_segments" not in case.options:
        return i + (0 if case.options.get("segments") is not None else case.m - case.n)
    return i + int(np.flatnonzero(other == own[i])[-1] - np.flatnonzero(own == own[i])[-1])


def kept_weights(case: Case) -> np.ndarray:
    """Return what dropout does to each weight, (heads of all batches, n, m)."""
    heads, rate = case.heads * int(np.prod(case.batch)), case.options.get("dropout", 0.0)
    if not rate:
        return np.ones((heads, case.n, case.m))
    h, i, j = np.meshgrid(np.arange(heads), np.arange(case.n), np.arange(case.m), indexing="ij")
    words = philox(j // 4, i, h, "attention", case.options["seed"])
    drawn = np.take_along_axis(words, (j % 4)[None], axis=0)[0]
    return (drawn >= round(rate * 2**32)) / (1 - rate)


def expected(case: Case) -> dict[str, np.ndarray]:
    """Return out, lse and the gradients of everything."""
    a, o = case.arrays(), case.options
    group, shape = case.heads // case.key_heads, (*case.batch, case.heads, case.n, case.m)
    k, v = (np.repeat(a[name], group, axis=-3) for name in "kv")
    scale = o.get("scale") or case.d**-0.5
    product = scale * a["q"] @ k.swapaxes(-1, -2)
    cap = o.get("cap")
    scores = product if cap is None else cap * np.tanh(product / cap)
    if o.get("slopes") is not None:
        ids, key_ids = o.get("segments"), o.get("key_segments", o.get("segments"))
        own = np.zeros(case.n, int) if ids is None else ids
        other = np.zeros(case.m, int) if ids is None else key_ids
        places = np.array([place_of(case, i, own, other) if own[i] >= 0 else 0 for i in range(case.n)])
        scores = scores - np.asarray(o["slopes"])[:, None, None] * np.abs(places[:, None] - np.arange(case.m))
    if "bias" in a:
        scores = scores + a["bias"]
    if case.score:
        scores = scores + pair_bias(a["parameters"], np.arange(case.n), np.arange(case.m))
    table = seen_table(case)
    rows = table.reshape(*((1,) * len(case.batch) if len(table) == 1 else case.batch), 1, case.n, case.m)
    seen = np.broadcast_to(rows & a.get("mask", np.True_), shape)
    weighed = np.where(seen, scores, -np.inf)
    sinks = a["sinks"][:, None] if case.sinks else np.full((1, 1), -np.inf)
    top = np.maximum(weighed.max(axis=-1, initial=-1e300), np.maximum(sinks, -1e300))
    weights = np.exp(weighed - top[..., None])
    total = weights.sum(axis=-1) + np.exp(sinks - top)
    with np.errstate(divide="ignore"):
        lse = np.where(total > 0, top + np.log(total), -np.inf)
    weights = weights / np.where(total > 0, total, 1)[..., None]
    kept = kept_weights(case).reshape(shape)
    out = (kept * weights) @ v
    return {"out": out, "lse": lse, **_gradients(case, a, k, v, weights, kept, lse, product, scale)}


def _gradients(
    case: Case,
    a: dict[str, np.ndarray],
    k: np.ndarray,
    v: np.ndarray,
    weights: np.ndarray,
    kept: np.ndarray,
    lse: np.ndarray,
    product: np.ndarray,
    scale: float,
) -> dict[str, np.ndarray]:
    def to(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        extra = array.ndim - len(shape)
        axes = (*range(extra), *(extra + x for x, length in enumerate(shape) if length == 1))
        return array.sum(axis=axes).reshape(shape)

    dweights = kept * np.einsum("...id,...jd->...ij", a["dout"], v)
    slack = a["dlse"] - (weights * dweights).sum(axis=-1)
    change = weights * (dweights + slack[..., None])
    found = {}
    if "bias" in a:
        found["bias"] = to(change, a["bias"].shape)
    if case.sinks:
        found["sinks"] = to(np.exp(a["sinks"][:, None] - lse) * slack, (case.heads, 1))[:, 0]
    if case.score:
        flat = change.reshape(-1, *change.shape[-3:]).sum(axis=0)
        found["parameters"] = pair_bias_vjp(a["parameters"], np.arange(case.n), np.arange(case.m), flat)
    if case.options.get("cap") is not None:
        change = change * (1 - np.tanh(product / case.options["cap"]) ** 2)
    grouped = (*case.batch, case.key_heads, -1)
    dk = scale * change.swapaxes(-1, -2) @ a["q"]
    dv = (kept * weights).swapaxes(-1, -2) @ a["dout"]
    for name, each in (("k", dk), ("v", dv)):
        found[name] = each.reshape(*grouped, *each.shape[-2:]).sum(axis=len(case.batch) + 1)
    return {"q": scale * change @ k, **found}


_IDS = np.array([4, 4, 4, 0, 0, -1, 7, 7, 7, 7, 7, -1, 2])
_BACK = np.array([4, 4, 0, 0, 4, -1, 7, 0, 7, 7, 4, -1, 2])
_ROWS = np.stack([_IDS, _BACK])
CASES = {
    "cross": Case(n=7, m=18),
    "cross_causal": Case(n=7, m=18, options={"causal": True}),
    "more_queries": Case(n=18, m=7, options={"causal": True}),
    "decoding": Case(n=1, m=11, heads=6, key_heads=2, options={"causal": True, "offset": 6}),
    "grouped": Case(heads=6, key_heads=2, batch=(2,), options={"causal": True}),
    "multi_query": Case(heads=4, key_heads=1, width=3, options={"blocks": (1, 4, 8)}),
    "window": Case(options={"causal": True, "window": 3}),
    "two_sided": Case(n=29, m=29, options={"window": (1, 4), "sink_tokens": 9}),
    "one_sided": Case(n=9, m=17, options={"window": (None, 2), "scale": 0.3}),
    "sink_tokens": Case(n=29, m=29, options={"causal": True, "window": (4, 0), "sink_tokens": 3}),
    "cap_and_slopes": Case(heads=4, key_heads=2, options={"cap": 0.8, "slopes": [0.5, 0.25, 0.1, 0.0], "causal": True}),
    "bias": Case(heads=4, key_heads=2, batch=(2,), bias=(2, 4, 13, 13)),
    "bias_of_all_heads": Case(heads=4, key_heads=2, batch=(2,), bias=(13, 13), options={"causal": True, "cap": 2.0}),
    "bias_of_keys": Case(heads=4, key_heads=4, bias=(4, 1, 13)),
    "bias_of_queries": Case(n=7, m=18, bias=(1, 7, 1), width=4),
    "mask": Case(batch=(2,), mask=(2, 1, 13, 13), options={"causal": True}),
    "mask_of_keys": Case(batch=(2,), mask=(2, 1, 1, 13)),
    "learned_sinks": Case(heads=4, key_heads=2, batch=(2,), sinks=True, options={"window": (5, 0)}),
    "callable": Case(n=11, m=18, score=True, bias=(3, 1, 18), batch=(2,), options={"cap": 1.5}),
    "dropout": Case(heads=4, key_heads=2, batch=(2,), bias=(13, 13), options={"dropout": 0.3, "seed": 5}),
    "dropped_window": Case(n=29, m=29, options={"dropout": 0.5, "seed": 2**40 + 1, "causal": True, "window": (9, 0)}),
    "documents": Case(options={"segments": _IDS, "causal": True, "slopes": [0.5, 0.1, 0.2]}),
    "documents_back": Case(
        options={"segments": _BACK, "causal": True, "window": (1, 0), "sink_tokens": 3, "slopes": [0.5, 0.1, 0.2]}
    ),
    "documents_of_rows": Case(batch=(2,), heads=4, key_heads=2, options={"segments": _ROWS, "causal": True}),
    "documents_across": Case(
        n=9,
        m=13,
        options={"causal": True, "segments": np.array([4, 4, 9, 0, 7, 7, 7, -1, 2]), "key_segments": _IDS},
    ),
    "everything": Case(
        n=17,
        m=29,
        heads=4,
        key_heads=2,
        width=3,
        batch=(2,),
        bias=(2, 1, 17, 29),
        mask=(1, 1, 29),
        sinks=True,
        score=True,
        options={
            "window": (9, 4),
            "sink_tokens": 2,
            "cap": 3.0,
            "slopes": [0.1, 0.2, 0.3, 0.4],
            "dropout": 0.2,
            "seed": 3,
        },
    ),
}


def takes(method: str, name: str) -> bool:
    """Return whether a method takes a case."""
    case, o = CASES[name], CASES[name].options
    if method == "ring":
        return True
    if case.bias or case.mask or case.score:
        return False
    return method == "ulysses" or not ({"cap", "slopes", "dropout"} & set(o) or name == "documents_of_rows")


def found(
    case: Case, comm: Any = None, method: str = "ring", layout: str = "contiguous", cuts: Any = None
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield name, what this rank computes and what it should be, for output and gradients, of parts of the case.

    `cuts(length)` gives this rank's positions in a sequence of that length; balanced parts of the layout otherwise.
    """
    a, want = case.arrays(), expected(case)
    cuts = cuts or (lambda length: positions(length, comm, layout))
    queries, keys = cuts(case.n), cuts(case.m)
    mine = {name: a[name][..., queries, :] for name in ("q", "dout")}
    mine |= {name: a[name][..., keys, :] for name in "kv"} | {"dlse": a["dlse"][..., queries]}
    options = {**case.options, "method": method, "layout": layout, "comm": comm}
    for name, at in (("segments", queries), ("key_segments", keys)):
        if name in options:
            options[name] = options[name][..., at]
    own = {
        name: a[name] if a[name].shape[-2] == 1 else a[name][..., queries, :] for name in ("bias", "mask") if name in a
    }
    if "mask" in own:
        options["mask"] = own["mask"]
    if case.score:
        options["score"] = SCORE
    extra = [own.get("bias"), a.get("sinks"), a.get("parameters")]
    given = [mine[name] for name in "qkv"] + (extra if any(x is not None for x in extra) else [])
    (out, lse), residuals = softmax_attention.forward(*given, **options)
    gradients = softmax_attention.vjp((mine["dout"], mine["dlse"]), residuals)
    yield "out", out, want["out"][..., queries, :]
    yield "lse", lse, want["lse"][..., queries]
    for name, gradient in zip(("q", "k", "v", "bias", "sinks", "parameters"), gradients):
        if gradient is None:
            continue
        whole = want[name]
        if name in "qkv":
            whole = whole[..., queries if name == "q" else keys, :]
        elif name == "bias" and whole.shape[-2] != 1:
            whole = whole[..., queries, :]
        yield name, gradient, whole


def assert_close(name: str, got: np.ndarray, want: np.ndarray, tolerance: float = 1e-12) -> None:
    """Compare with an error relative to the largest entry; minus infinity in the same places."""
    none = np.isneginf(want)
    assert got.shape == want.shape, (name, got.shape, want.shape)
    assert np.array_equal(np.isneginf(got), none), name
    error = np.abs(np.where(none, 0, got) - np.where(none, 0, want)).max(initial=0)
    assert error <= tolerance * max(1.0, np.abs(want[~none]).max(initial=0)), (name, error)
