"""Files of every kind: round trip, header, schema versions, damage."""

from __future__ import annotations

import json

import pytest
from samples import make_objects, same
from thread_ranks import ThreadComm, on_ranks

from sci.errors import InvalidValueError
from sci.io import describe, load, load_results, save


@pytest.mark.parametrize("name", make_objects())
def test_round_trip(tmp_path, name):
    original = make_objects()[name]
    save(tmp_path / "a.h5", original)
    assert same(load(tmp_path / "a.h5"), original)
    assert [p.name for p in tmp_path.iterdir()] == ["a.h5"]


def test_describe_is_json(tmp_path):
    save(tmp_path / "a.h5", make_objects()["grid"])
    found = json.loads(json.dumps(describe(tmp_path / "a.h5")))
    assert found["kind"] == "grid"
    assert found["units"] == "kT/e"
    assert found["file_bytes"] == (tmp_path / "a.h5").stat().st_size
    dataset = {"shape": [5, 4, 3], "dtype": "float64", "bytes": 480, "dims": ["z", "y", "x"], "units": "kT/e"}
    axes = {
        f"VTKHDF/{name}": {"shape": [n], "dtype": "float64", "bytes": 8 * n, "dims": [name], "units": "angstrom"}
        for name, n in (("x", 3), ("y", 4), ("z", 5))
    }
    assert found["datasets"] == {"VTKHDF/PointData/potential": dataset, **axes}


def test_results_belong_to_an_object_of_any_kind(tmp_path):
    for name, original in make_objects().items():
        save(tmp_path / "a.h5", original, results={"seconds": 0.25, "part": {"note": name}}, overwrite=True)
        assert load_results(tmp_path / "a.h5") == {"seconds": 0.25, "part": {"note": name}}
        assert same(load(tmp_path / "a.h5"), original)


@pytest.mark.parametrize("ranks", [2, 3])
def test_an_object_that_cannot_be_saved_is_an_error_on_every_rank(tmp_path, ranks):
    """The others do not wait for a rank 0 that has nothing to write; they themselves may hold anything."""

    def body(comm: ThreadComm) -> str:
        try:
            save(tmp_path / "a.h5", {} if comm.rank == 0 else make_objects()["tucker"], comm=comm)
        except InvalidValueError as error:
            return str(error)
        return ""

    assert all("cannot save a dict" in said for said in on_ranks(ranks, body))
    on_ranks(
        ranks, lambda comm: save(tmp_path / "a.h5", make_objects()["tucker"] if comm.rank == 0 else None, comm=comm)
    )
    assert same(load(tmp_path / "a.h5"), make_objects()["tucker"])
