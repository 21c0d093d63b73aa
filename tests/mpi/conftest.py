"""The `run_mpi` and `launch_mpi` fixtures of tests that start mpirun."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import launcher
import pytest


@pytest.fixture(scope="session", autouse=True)
def _needs_mpi4py() -> None:
    """Skip where the extra is not installed; with mpi4py but without mpirun the tests fail."""
    if importlib.util.find_spec("mpi4py") is None:
        pytest.skip("mpi4py is not installed (extra mpi-local)")


@pytest.fixture
def run_mpi() -> Callable[..., str]:
    """Return `launcher.run_mpi`, for a program that must pass."""
    return launcher.run_mpi


@pytest.fixture
def launch_mpi() -> Callable[..., launcher.MpiResult]:
    """Return `launcher.launch`, for a program that is expected to fail."""
    return launcher.launch
