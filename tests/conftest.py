"""Fixtures that several test folders share."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from wheel_environment import build_wheel, make_environment

# A busy machine is no fault of a test.
settings.register_profile("sci", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("sci")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse names of tests that hold an address: processes that share the tests would not agree on them."""
    odd = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if odd:
        raise pytest.UsageError(f"{odd[0]}: give the parameter a repr, or the test an id")


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of larger real data that `SCI_TEST_DATA` names; the test is skipped without it."""
    folder = os.environ.get("SCI_TEST_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("SCI_TEST_DATA does not name a folder")
    return Path(folder)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the checkout, built once for all processes of the session."""
    folder = _shared_folder(tmp_path_factory)
    with _locked(folder):
        found = list(folder.glob("*.whl"))
        return found[0] if found else build_wheel(folder)


@pytest.fixture(scope="session")
def clean_python(wheel: Path) -> Path:
    """The Python of a new environment with the wheel, without the checkout's `sci`."""
    ready = wheel.parent / "ready"
    with _locked(wheel.parent):
        if not ready.exists():
            ready.write_text(str(make_environment(wheel)))
    return Path(ready.read_text())


def _shared_folder(factory: pytest.TempPathFactory) -> Path:
    """A folder of this session, the same in all its processes."""
    base = factory.getbasetemp()
    folder = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "wheel"
    folder.mkdir(exist_ok=True)
    return folder


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, so that one process builds while the others wait."""
    import fcntl

    with (folder / "lock").open("w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        yield
