"""Adapters name the packages that they need, and importing the library imports none of them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sci.interop import adapters
from sci.interop.packages import missing


def test_versions_by_adapter() -> None:
    found = adapters()
    assert list(found) == ["ase", "mdanalysis", "parmed", "safetensors", "torch", "xarray"]
    assert found["ase"] is not None


def test_the_extra_is_named() -> None:
    assert str(missing("MDAnalysis")).endswith('pip install "sci-hpc[trajectories]"')


@pytest.mark.parametrize("module", ["ase", "mdanalysis", "parmed", "safetensors", "torch", "xarray"])
def test_a_missing_package_is_named(module: str) -> None:
    code = (
        "import sys\n"
        "for name in ('ase', 'MDAnalysis', 'parmed', 'safetensors', 'torch', 'xarray'):\n"
        "    sys.modules[name] = None\n"
        "import sci.interop\n"
        f"try:\n    import sci.interop.{module}\n"
        "except ImportError as error:\n    print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("MissingDependencyError this adapter needs "), done.stderr


def test_importing_the_room_imports_no_package() -> None:
    names = ("ase", "MDAnalysis", "parmed", "safetensors", "torch", "xarray")
    code = f"import sys, sci.interop\nprint([n for n in {names} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
