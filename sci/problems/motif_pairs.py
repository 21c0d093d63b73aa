"""Sequences whose labels need long context: pairs of motifs as far apart as contacts of chromatin are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sci.arguments import entry
from sci.errors import InvalidValueError, ShapeError
from sci.problems.random_fields import sample_generator

__all__ = ["MotifPairs"]


@entry
@dataclass(frozen=True)
class MotifPairs:
    r"""Words of a genome with pairs of sites, an upstream and a downstream one: do their orientations agree?

    A sequence has `length` words. For each family f = 1 ... `pairs` one upstream site of a random orientation stands at
    a random place p, and one downstream site of a random orientation at p + D. All other words are random and mean
    nothing. The label at each downstream site is 1 if its orientation is that of the upstream site of its family, and 0
    otherwise. The distance has the probability

    .. math:: P(D = d) = \frac{1}{d\, H_m}, \quad d = 1 \dots m, \quad H_m = \sum_{d=1}^m \frac1d, \quad m = longest,

    the decay of contacts with the distance along a chromosome.

    Parameters
    ----------
    length : int
        Words of a sequence.
    pairs : int
        Families, and labels of a sequence. 1, or so few that places for all are soon found, whatever the distances:
        pairs^2 <= length - longest.
    background : int
        Words that mean nothing: 0 ... background - 1. The word background + 4 f + 2 s + o is the site of family f, from
        0, that is upstream (s = 0) or downstream (s = 1), in orientation o.
    longest : int, optional
        Largest distance, below `length`; length // 2 by default.

    Raises
    ------
    InvalidValueError

    Notes
    -----
    Who sees a site and the `context` - 1 words before it sees the other site if D < context, and then knows the label.
    Otherwise the other orientation is a fair coin, of which nothing that is seen depends. The best accuracy of any rule
    is therefore exactly 1/2 + H_{min(context - 1, m)} / (2 H_m): `best_accuracy`. `decide` reaches it.

    References
    ----------
    Lieberman-Aiden et al., Science 326, 289 (2009): contacts fall as 1 / distance. Rao et al., Cell 159, 1665 (2014):
    the orientations of two CTCF motifs decide whether a loop forms. The rule of labels here is ours.

    Examples
    --------
    >>> from sci.problems import MotifPairs
    >>> problem = MotifPairs(length=256, pairs=4)
    >>> tokens, labels = problem.draw(2, seed=0)
    >>> tokens.shape, (labels >= 0).sum(axis=1)
    ((2, 256), array([4, 4]))
    >>> round(problem.best_accuracy(16), 3), problem.best_accuracy(256)
    (0.805, 1.0)
    """

    length: int = 1024
    pairs: int = 8
    background: int = 48
    longest: int | None = None

    def __post_init__(self) -> None:
        if self.longest is None:
            object.__setattr__(self, "longest", max(1, self.length // 2))
        if min(self.length, self.pairs, self.background) < 1 or not 1 <= self._longest < self.length:
            raise InvalidValueError(
                f"length {self.length}, pairs {self.pairs}, background {self.background}, longest {self.longest}; "
                "expected positive numbers, and longest < length"
            )
        if self.pairs > 1 and self.pairs**2 > self.length - self._longest:
            raise InvalidValueError(
                f"{self.pairs} pairs in {self.length} words, up to {self._longest} apart, would meet too often; "
                "expected pairs^2 <= length - longest"
            )

    @property
    def _longest(self) -> int:
        return int(self.longest or 0)

    @property
    def vocabulary(self) -> int:
        """Number of words."""
        return self.background + 4 * self.pairs

    def draw(self, n_samples: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Draw sequences; sample i follows from the seed and i alone.

        Parameters
        ----------
        n_samples : int
        seed : int

        Returns
        -------
        tokens, labels : (n_samples, length) int64 arrays
            The words, and the label at each downstream site: 0 or 1, and -1 everywhere else.

        Raises
        ------
        InvalidValueError
            For a negative number or seed.
        """
        if n_samples < 0 or seed < 0:
            raise InvalidValueError(f"{n_samples} samples, seed {seed}; expected two numbers of 0 or more")
        samples = [self._sample(sample_generator(seed, i)) for i in range(n_samples)]
        shape = (n_samples, self.length)
        tokens, labels = (np.array([s[k] for s in samples], dtype=np.int64).reshape(shape) for k in (0, 1))
        return tokens, labels

    def _sample(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        weights = 1.0 / np.arange(1, self._longest + 1)
        distance = 1 + np.searchsorted(np.cumsum(weights), rng.random(self.pairs) * weights.sum(), side="right")
        distance = np.minimum(distance, self._longest)  # a product may round up to the whole sum
        while True:  # the distances stay: their probabilities are exact, whatever places are refused
            upstream = rng.integers(0, self.length - distance)
            places = np.concatenate([upstream, upstream + distance])
            if len(np.unique(places)) == len(places):
                break
        side = rng.integers(0, 2, (2, self.pairs))
        sites = self.background + 4 * np.arange(self.pairs) + np.array([[0], [2]]) + side
        tokens, labels = rng.integers(0, self.background, self.length), np.full(self.length, -1)
        tokens[places] = sites.ravel()
        labels[places[self.pairs :]] = side[0] == side[1]
        return tokens, labels

    def best_accuracy(self, context: int) -> float:
        """Return the largest accuracy of any rule that sees `context` words, the site itself and those before it.

        Parameters
        ----------
        context : int

        Returns
        -------
        float
            1/2 + H_{min(context - 1, longest)} / (2 H_longest).

        Raises
        ------
        InvalidValueError
        """
        if context < 1:
            raise InvalidValueError(f"a context of {context} words; expected at least the site itself")
        weights = 1.0 / np.arange(1, self._longest + 1)
        if context > self._longest:
            return 1.0
        return float(0.5 + 0.5 * weights[: context - 1].sum() / weights.sum())

    def decide(self, tokens: np.ndarray, context: int) -> np.ndarray:
        """Return the labels that the best rule gives, which sees `context` words up to each site.

        Parameters
        ----------
        tokens : (n_samples, length) integer array
        context : int

        Returns
        -------
        (n_samples, length) int64 array
            0 or 1 at downstream sites, and -1 everywhere else. 0 where the upstream site is not seen: any guess is as
            good.

        Raises
        ------
        InvalidValueError, ShapeError
        """
        tokens = np.asarray(tokens)
        if tokens.ndim != 2 or tokens.shape[1] != self.length or tokens.dtype.kind not in "iu":
            raise ShapeError(f"tokens {tokens.shape} of {tokens.dtype}; expected (n_samples, {self.length}) integers")
        if context < 1 or (tokens.size and not (tokens.min() >= 0 and tokens.max() < self.vocabulary)):
            raise InvalidValueError(
                f"a context of {context} words, or words outside of 0 ... {self.vocabulary - 1}; expected both in range"
            )
        context = min(context, self.length)
        found = np.full(tokens.shape, -1, dtype=np.int64)
        site = tokens.astype(np.int64) - self.background  # narrow or unsigned integers would wrap
        for row, place in zip(*np.nonzero((site >= 0) & (site % 4 >= 2))):
            before = site[row, max(0, place - context + 1) : place]
            family = 4 * (site[row, place] // 4)
            partner = before[(before == family) | (before == family + 1)]
            found[row, place] = partner.size > 0 and partner[-1] % 2 == site[row, place] % 2
        return found
