"""The deep conjugate direction method: the network of Kaneda et al., trained, saved, and used to solve."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array, namespace, to_device
from sci.errors import InvalidValueError, ShapeError, with_article
from sci.nn import Adam, Checkpoint, Dataset, ModelState, count_parameters, train
from sci.nn.training.data import Arrays
from sci.solvers.dcdm.iteration import DirectionLog, conjugate_directions, line_search_loss
from sci.solvers.dcdm.network import BRANCHES, initial_network, network
from sci.solvers.krylov.cg import SolveResult
from sci.solvers.poisson.operator import PoissonOperator

__all__ = ["DeepConjugateDirection"]


class _Rows:
    """Right-hand sides as batches (count, 1, *grid) in the dtype of the network."""

    def __init__(self, A: PoissonOperator, source: Array | Dataset, dtype: Any) -> None:
        self._A, self._dtype = A, dtype
        self._source: Any = Arrays((source,)) if hasattr(source, "dtype") else source

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, indices: np.ndarray) -> Array:
        found = self._source[indices]
        rows: Array = found[0] if isinstance(found, tuple) else found
        namespace(rows, self._A.mask)
        if rows.shape[1:] != self._A.grid_shape:
            rows = self._A.xp.stack([self._A.expand(row) for row in rows])
        return rows.astype(self._dtype, copy=False)[:, None]


@entry
class DeepConjugateDirection:
    """Solver of Poisson problems along directions that a convolutional network makes of the residual.

    `sci.io.save` writes it with its network, `sci.io.load` reads it back.

    Parameters
    ----------
    size : 64 or 128
        Which of the two published networks: 97,457 or 152,881 parameters. Either runs on any grid of even lengths.
    parameters : dict of arrays, optional
        Untrained from `seed` if not given.
    seed : int
        Of the first parameters.
    dtype : dtype

    Raises
    ------
    InvalidValueError, ShapeError
        For another size, and parameters of other names or shapes.

    Notes
    -----
    The network never sees the bodies: they act through A in `conjugate_directions` alone. It costs 6.1e4
    multiplications per cell (size 64) or 9.2e4 (size 128). On a processor `LearnedMultigrid` is far cheaper and
    converges faster; this class reproduces the paper.

    References
    ----------
    Kaneda et al., A deep conjugate direction method for iteratively solving linear systems, ICML 2023, figure 3; layer
    by layer as in the authors' published training script.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.solvers import DeepConjugateDirection, PoissonOperator
    >>> A = PoissonOperator(np.ones((8, 8, 8), dtype=bool))
    >>> solver = DeepConjugateDirection()
    >>> solver
    DeepConjugateDirection(size=64, 97457 parameters)
    >>> solver.solve(A, np.ones((8, 8, 8)), maxiter=3).iterations
    3
    """

    def __init__(
        self, size: int = 64, parameters: dict[str, Array] | None = None, *, seed: int = 0, dtype: Any = np.float32
    ) -> None:
        if size not in BRANCHES:
            raise InvalidValueError(f"size is {size}; expected 64 or 128")
        self.size = size
        self.parameters = initial_network(size, seed, dtype) if parameters is None else dict(parameters)
        expected = {name: p.shape for name, p in initial_network(size, 0, dtype).items()}
        found = {name: tuple(p.shape) for name, p in self.parameters.items()}
        if found != expected:
            odd = sorted(n for n in {*found, *expected} if found.get(n) != expected.get(n))
            raise ShapeError(f"the parameters {', '.join(odd)} are missing, unknown or of the wrong shape")

    @property
    def n_parameters(self) -> int:
        """Number of parameters."""
        return count_parameters(self.parameters)

    def forward(self, parameters: dict[str, Array], x: Array) -> Any:
        """Return the directions (batch, 1, *grid) of residuals (batch, 1, *grid)."""
        return network(self.size, parameters, x)

    def __call__(self, r: Array) -> Array:
        """Return the direction for a residual of unit length on a grid (n0, n1, n2) of even lengths."""
        if r.ndim != 3:
            raise ShapeError(f"the residual has shape {tuple(r.shape)}; expected a grid of three axes")
        xp = namespace(r)
        parameters = {name: to_device(p, xp) for name, p in self.parameters.items()}
        x = r.astype(parameters["first.bias"].dtype)[None, None]
        return self.forward(parameters, x)[0, 0].astype(r.dtype)

    def solve(
        self,
        A: PoissonOperator,
        b: Any,
        x0: Any = None,
        *,
        k: int = 2,
        rtol: float = 1e-4,
        atol: float = 0.0,
        maxiter: int | None = None,
        callback: Callable[[Array], object] | None = None,
        log: DirectionLog | None = None,
    ) -> SolveResult:
        """Solve A x = b along the network's directions; arguments and errors are those of `conjugate_directions`.

        Parameters
        ----------
        A : PoissonOperator
            Three axes of even lengths.
        b : (*grid) array

        Raises
        ------
        ShapeError
            For a grid of two axes, or with an odd length.
        """
        if len(A.grid_shape) != 3 or any(n % 2 for n in A.grid_shape):
            raise ShapeError(
                f"the grid is {A.grid_shape}; expected three axes of even lengths, as the network halves them: "
                "enlarge the box by cells that are no fluid, or use LearnedMultigrid (`--method learned`)"
            )
        return conjugate_directions(
            A, b, self, x0, k=k, rtol=rtol, atol=atol, maxiter=maxiter, callback=callback, log=log
        )

    def train(
        self,
        A: PoissonOperator,
        right_hand_sides: Array | Dataset,
        *,
        epochs: int = 1,
        batch_size: int = 10,
        learning_rate: float = 1e-4,
        seed: int = 0,
        resume: Checkpoint | None = None,
        save: Callable[[Checkpoint], None] | None = None,
        save_every: int | None = None,
    ) -> tuple[DeepConjugateDirection, Checkpoint]:
        """Train without solutions: minimize ||b - A x||^2 with x the best multiple of the network's direction for b.

        Parameters
        ----------
        A : PoissonOperator
            Of the box that the right-hand sides belong to.
        right_hand_sides : (count, *grid) or (count, n) array, or an object with `len` and `[indices]`
            Of unit length, for example from `ritz_right_hand_sides`; or `RitzSamples`, which makes the rows of a batch
            when they are needed.
        epochs, batch_size : int
            Passes over the samples, and samples of a step.
        learning_rate : float
            Of Adam, constant.
        seed : int
            Of the order of the samples.
        resume : Checkpoint, optional
        save : callable, optional
            Called with checkpoints, see `sci.nn.train`.
        save_every : int, optional
            Steps between them; an epoch by default.

        Returns
        -------
        solver : DeepConjugateDirection
            A new one; this one is not changed.
        checkpoint : Checkpoint
        """
        samples = _Rows(A, right_hand_sides, self.parameters["first.bias"].dtype)

        def apply(y: Array) -> Array:
            return A.xp.stack([A.apply(sample[0])[None] for sample in y])

        def loss(variables: dict[str, Any], batch: Array) -> Any:
            y = self.forward(variables, batch)
            return line_search_loss(y, batch, apply=apply)

        done = train(
            loss,
            self.parameters,
            samples,
            optimizer=Adam(learning_rate),
            epochs=epochs,
            batch_size=batch_size,
            seed=seed,
            resume=resume,
            save=save,
            save_every=save_every,
            title="training the network",
        )
        return DeepConjugateDirection(self.size, done.parameters), done

    def to_state(self) -> ModelState:
        """Return the name, the options and the arrays that a file holds."""
        return ModelState(type(self).__name__, {"size": self.size}, self.parameters)

    @classmethod
    def from_state(cls, model: ModelState) -> DeepConjugateDirection:
        """Return the solver whose network a file holds.

        Raises
        ------
        InvalidValueError, ShapeError
            If the model is of another class, or its arrays do not fit.
        """
        if model.name != cls.__name__:
            raise InvalidValueError(f"the model is {with_article(model.name)}; expected {with_article(cls.__name__)}")
        return cls(int(model.options["size"]), model.parameters)

    def __repr__(self) -> str:
        return f"DeepConjugateDirection(size={self.size}, {self.n_parameters} parameters)"
