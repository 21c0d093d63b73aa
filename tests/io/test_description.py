"""What a file says of itself: each thing once, arrays by their shape alone, and nothing that JSON cannot hold."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest
from kinds import KINDS
from samples import make_deltas

from sci.errors import FileFormatError
from sci.io import describe, save, save_samples
from sci.nn.training.model import ModelState
from sci.options import recorded
from sci.potentials import Particles, RangeSeparatedPotential, Yukawa

ION = Particles([[0.0, 0.0, 0.0]], [1.0])


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.checked])
def test_every_kind_of_file_is_described(name, tmp_path):
    KINDS[name].write(tmp_path / "a.h5")
    found = describe(tmp_path / "a.h5")
    assert found["datasets"] or found["parameters"]
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert set(found["parameters"]).isdisjoint(found["datasets"])


def test_the_values_that_matter_are_there_once(tmp_path):
    path = tmp_path / "a.h5"
    rng = np.random.default_rng(0)
    phi = RangeSeparatedPotential(Particles(rng.normal(size=(40, 3)), rng.normal(size=40)), 1e-4, kernel=Yukawa(0.1))
    forces = phi.forces()
    save(path, phi, results={"energy": 1.5, "note": "mine", "part": {"n": 2}, "forces": forces})
    found = describe(path)
    values = {name: entry["value"] for name, entry in found["parameters"].items()}
    assert values["short_range/tol"] == 1e-4
    assert values["short_range/kappa"] == 0.1
    assert values["short_range/alpha"] == phi.split.alpha
    assert values["short_range/kernel"] == "yukawa"
    assert found["parameters"]["short_range/cutoff"]["units"] == "angstrom"
    assert found["results"] == {"energy": 1.5, "note": "mine", "part": {"n": 2.0}}
    assert found["datasets"]["results/forces"]["shape"] == [40, 3]
    assert not [name for name in found["datasets"] if name.startswith("results/") and name != "results/forces"]


def test_attributes_of_the_root_are_parameters(tmp_path):
    save_samples(tmp_path / "s.h5", *np.zeros((2, 3, 4, 4)), grid_axes=2, periodic=True)
    parameters = describe(tmp_path / "s.h5")["parameters"]
    assert parameters["grid_axes"]["value"] == 2
    assert parameters["periodic"]["value"] == 1
    assert not {"kind", "uuid", "format"} & set(parameters)


def test_the_arguments_of_a_command_are_told(tmp_path):
    with recorded({"tol": 1e-6, "grid": [4]}):
        save(tmp_path / "a.h5", ION)
    save(tmp_path / "b.h5", ION)
    found = describe(tmp_path / "a.h5")
    assert found["arguments"] == {"tol": 1e-6, "grid": [4]}
    assert "arguments" not in found["options"]
    assert describe(tmp_path / "b.h5")["arguments"] == {}


def test_a_structure_is_refused_with_what_to_do(tmp_path):
    (tmp_path / "a.pqr").write_text("ATOM 1 N ALA 1 0 0 0 1 1\n")
    with pytest.raises(FileFormatError, match=r"a\.pqr: this is a structure.*`sci potential .*a\.pqr -o OUT\.h5`"):
        describe(tmp_path / "a.pqr")
    save(tmp_path / "b.h5", ION)
    (tmp_path / "b.h5").rename(tmp_path / "b.pqr")
    assert describe(tmp_path / "b.pqr")["kind"] == "particles", "the contents count, not the name"


def test_large_arrays_are_not_read(tmp_path):
    save(tmp_path / "a.h5", ION, results={"n": 1.0})
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file.create_dataset("results/huge", shape=(2**38,), dtype="f8", chunks=(2**20,))
    assert describe(tmp_path / "a.h5")["datasets"]["results/huge"]["bytes"] == 2**41


def test_a_flipped_bit_of_a_number_is_seen(tmp_path):
    path = tmp_path / "a.h5"
    save(path, RangeSeparatedPotential(ION, 1e-4, kernel=Yukawa(0.25)))
    content = bytearray(path.read_bytes())
    with h5py.File(path) as file:
        place = file["short_range/kappa"].id.get_offset()
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match="short_range/kappa fails its checksum"):
        describe(path)


def test_the_names_of_deltas_are_told_and_their_layout_is_not(tmp_path):
    save(tmp_path / "deltas.h5", make_deltas())
    found = describe(tmp_path / "deltas.h5")["parameters"]
    assert found["weight_deltas/names"]["value"] == ", ".join(make_deltas().deltas)
    assert not [name for name in found if "layout" in name]


def test_names_of_datasets_are_not_told_twice(tmp_path):
    save(tmp_path / "model.h5", ModelState("any", {}, {"w": np.ones(2)}))
    assert not [name for name in describe(tmp_path / "model.h5")["parameters"] if name.endswith("names")]
