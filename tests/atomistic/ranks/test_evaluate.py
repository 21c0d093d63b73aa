"""One configuration on ranks: the numbers of one process, however the atoms lie."""

from __future__ import annotations

import numpy as np
import pytest
from atom_cases import CELL, SALT, crystal, molecule, potential
from thread_ranks import on_ranks

from sci.atomistic import Configuration, predict_on_ranks
from sci.errors import InvalidValueError

IONS = {"Na": 1.0, "Cl": -1.0}
CASES = {
    "crystal": (crystal(), {}),
    "three layers": (crystal(), {"layers": 3}),
    "charges": (crystal(), {"layers": 1, "charges": IONS}),
    "learned charges": (crystal(), {"charges": "learned", "charge_start": IONS}),
    "learned charges of a slab": (
        Configuration(SALT, crystal().positions, CELL, (True, True, False), charges=np.full(12, 0.05)),
        {"layers": 1, "charges": "learned", "charge_start": IONS},
    ),
    "learned charges of a molecule": (molecule(), {"layers": 1, "charges": "learned"}),
    "molecule": (molecule(), {"charges": IONS}),
    "slab": (Configuration(SALT, crystal().positions, CELL, (True, True, False)), {"charges": IONS}),
    "wire": (Configuration(SALT, crystal().positions, CELL, (True, False, False)), {}),
}


@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize("name", CASES)
def test_ranks_give_the_numbers_of_one_process(name, ranks):
    atoms, options = CASES[name]
    made = potential(**options)
    exact = made(atoms)
    order = np.random.default_rng(ranks).permutation(atoms.n)
    parts = np.array_split(order, ranks) if ranks < 4 else [order[:1], order[1:4], order[:0], order[4:]]

    def body(comm):
        own = parts[comm.rank]
        names = [atoms.species[k] for k in own]
        charges = None if atoms.charges is None else atoms.charges[own]
        options = {"cell": atoms.cell, "periodic": atoms.periodic, "charges": charges}
        return predict_on_ranks(made, names, atoms.positions[own], **options, comm=comm)

    for own, found in zip(parts, on_ranks(ranks, body)):
        assert found.energy == pytest.approx(exact.energy, rel=0, abs=1e-10)
        np.testing.assert_allclose(found.forces, exact.forces[own], atol=1e-10)
        assert (found.stress is None) == (exact.stress is None)
        if exact.stress is not None:
            np.testing.assert_allclose(found.stress, exact.stress, atol=1e-10)


def test_an_error_of_one_rank_is_one_of_all():
    made = potential()

    def body(comm):
        with pytest.raises(InvalidValueError) as caught:
            predict_on_ranks(made, ["Na", "K" if comm.rank else "Cl"], np.eye(3)[:2] * 3 + comm.rank, comm=comm)
        return str(caught.value)

    first, second = on_ranks(2, body)
    assert "atom 1 (counted from 0) is 'K'" in second
    assert second in first
    with pytest.raises(InvalidValueError, match="no atoms on any rank"):
        predict_on_ranks(made, [], np.zeros((0, 3)))
    with pytest.raises(InvalidValueError, match="1 names for 2 atoms"):
        predict_on_ranks(made, ["Na"], np.zeros((2, 3)))
