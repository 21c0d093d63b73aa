"""Fixtures that several test folders share."""

from __future__ import annotations

import ast
import collections
import contextlib
import gc
import os
import resource
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from wheel_environment import build_wheel, make_environment

import sci

# A busy machine is no fault of a test.
settings.register_profile("sci", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("sci")


# Collection makes millions of objects that stay: looking for garbage among them takes half its time.
gc.disable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse names of tests that hold an address: processes that share the tests would not agree on them."""
    odd = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if odd:
        raise pytest.UsageError(f"{odd[0]}: give the parameter a repr, or the test an id")


TOLD = 15
_seconds: collections.Counter[str] = collections.Counter()


def _used() -> float:
    """Processor seconds of this process and of the processes that it started and waited for."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in both)


_before = [0.0]


def pytest_collection_finish() -> None:
    """Leave what was collected out of all later searches for garbage, and begin to count the processor time."""
    gc.freeze()
    gc.enable()
    _before[0] = _used()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Write into each report the processor time since the one before, which a busy machine changes little."""
    report = yield
    before, _before[0] = _before[0], _used()
    report.processor_seconds = _before[0] - before
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add up the reports by file; with several processes, in the one that has the reports of all."""
    _seconds[report.nodeid.partition("::")[0]] += getattr(report, "processor_seconds", 0.0)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show which files take most of the processors' time."""
    if len(_seconds) > 1:
        terminalreporter.section(f"processor seconds by file, {sum(_seconds.values()):.0f} in all")
        for file, seconds in _seconds.most_common(TOLD):
            terminalreporter.write_line(f"{seconds:8.1f} {file}")


@pytest.fixture(scope="module")
def trees() -> dict[Path, ast.Module]:
    """The syntax of every file of the package; a module's, for a search for garbage goes through all of its objects."""
    gc.disable()
    try:
        files = sorted(Path(sci.__file__).parent.rglob("*.py"))
        return {path: ast.parse(path.read_text(), str(path)) for path in files}
    finally:
        gc.enable()


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
