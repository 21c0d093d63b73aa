"""Codecs are registered by class: what is refused, what users add, and that every kind of ours is tested."""

from __future__ import annotations

from dataclasses import dataclass

import h5py
import numpy as np
import pytest
from samples import make_objects

from sci import tensor
from sci.errors import FileFormatError, InvalidValueError
from sci.io import codec, describe, kinds, load, read_array, read_member, save, write_array, write_member
from sci.io.core import registry
from sci.io.core.registry import kind_of
from sci.potentials import Particles

IONS = Particles([[0.0, 0.0, 0.0], [0.0, 0.0, 2.8]], [1.0, -1.0])


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Codecs of a test are gone after it."""
    for table in ("_BY_NAME", "_BY_CLASS"):
        monkeypatch.setattr(registry, table, dict(getattr(registry, table)))


@dataclass
class Ensemble:
    """Weights of copies of some particles."""

    weights: np.ndarray
    particles: Particles


class EnsembleCodec:
    """`weights` (n); group `particles`."""

    @staticmethod
    def write(group, ensemble):
        write_array(group, "weights", ensemble.weights)
        write_member(group, "particles", ensemble.particles)

    @staticmethod
    def read(group):
        return Ensemble(read_array(group, "weights", (None,)), read_member(group, "particles", Particles))


def test_a_class_of_the_user_is_stored_by_its_own_codec(tmp_path):
    path = tmp_path / "a.h5"
    with pytest.raises(InvalidValueError, match=r"Ensemble; expected one of .*Tucker.*, or register a codec"):
        save(path, Ensemble(np.ones(2), IONS))
    codec(Ensemble, kind="ensemble", units="1")(EnsembleCodec)
    save(path, Ensemble(np.ones(2), IONS))
    found = load(path)
    assert type(found) is Ensemble
    assert found.particles.charges.tolist() == [1.0, -1.0]
    assert (describe(path)["kind"], describe(path)["units"]) == ("ensemble", "1")
    assert kinds()["ensemble"].layout == "`weights` (n); group `particles`."
    with h5py.File(path, "r+") as file:
        del file["ensemble/particles"]
    with pytest.raises(FileFormatError, match="the group /ensemble/particles is missing"):
        load(path)


def test_a_class_that_is_named_as_one_of_ours_is_refused(tmp_path):
    class Tucker:
        core, factors = np.ones((2, 2)), (np.eye(2), np.eye(2))

    with pytest.raises(InvalidValueError, match=r"cannot save a .*test_registry.*Tucker; expected"):
        save(tmp_path / "a.h5", Tucker())
    assert not list(tmp_path.iterdir())


def test_a_subclass_is_refused_rather_than_read_back_as_its_base(tmp_path):
    class Mine(tensor.Tucker):
        pass

    with pytest.raises(InvalidValueError, match="a subclass of Tucker, which would be read back as one"):
        save(tmp_path / "a.h5", Mine(np.ones((2, 2)), (np.eye(2), np.eye(2))))


def test_kinds_and_classes_have_one_codec():
    for name in ("tucker", "canonical"):
        with pytest.raises(InvalidValueError, match=rf"the kind '{name}' is that of sci\.tensor"):
            codec(Ensemble, kind=name)
    with pytest.raises(InvalidValueError, match="is stored as kind 'tucker'; expected one codec"):
        codec(tensor.Tucker, kind="tucker_again")
    with pytest.raises(InvalidValueError, match="expected letters, digits and '_'"):
        codec(Ensemble, kind="a/b")


def test_a_file_of_a_codec_that_is_not_registered_is_named(tmp_path, monkeypatch):
    path = tmp_path / "a.h5"
    with monkeypatch.context() as context:
        for table in ("_BY_NAME", "_BY_CLASS"):
            context.setattr(registry, table, dict(getattr(registry, table)))
        codec(Ensemble, kind="ensemble")(EnsembleCodec)
        save(path, Ensemble(np.ones(2), IONS))
    with pytest.raises(FileFormatError, match=r"a\.h5: .*kind 'ensemble'; expected one of .*import the module that"):
        load(path)


def test_every_kind_of_ours_has_a_sample_and_a_row_for_the_docs():
    ours = {name for name, kind in kinds().items() if kind.cls.__module__.startswith("sci.")}
    sampled = {kind_of(object).name for object in make_objects().values()}
    assert ours - sampled == {"direction_network"}, "a sample in tests/cases/samples.py is missing"
    assert [name for name in ours if not kinds()[name].layout] == []
    assert repr(kinds()["tucker"]).startswith("Kind('tucker', sci.tensor")
