"""Exclusions of topologies that ParmEd holds: bonds, factors of each dihedral, and pairs that are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from forcefields import PSF

from sci.errors import FileFormatError

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]
parmed = pytest.importorskip("parmed")


def _chain(n: int = 6) -> parmed.Structure:
    structure = parmed.Structure()
    for k in range(n):
        structure.add_atom(parmed.Atom(name=f"C{k}", charge=0.1 * k - 0.25, atomic_number=6), "CHN", 1)
    for k in range(n - 1):
        structure.bonds.append(parmed.Bond(structure.atoms[k], structure.atoms[k + 1]))
    return structure


def test_each_dihedral_has_its_own_factor() -> None:
    from sci.interop.parmed import charges, exclusions

    structure = _chain()
    kinds = [parmed.DihedralType(1.0, 2, 0.0, scee=scee) for scee in (1.2, 2.0)]
    for k, kind in enumerate(kinds):
        structure.dihedrals.append(parmed.Dihedral(*structure.atoms[k : k + 4], type=kind))
    structure.dihedrals.append(parmed.Dihedral(*structure.atoms[2:6], improper=True, type=kinds[1]))
    found = exclusions(structure)
    scales = dict(zip(map(tuple, found.pairs.tolist()), np.asarray(found.scales).tolist()))
    assert scales[0, 3] == pytest.approx(1 / 1.2)
    assert scales[1, 4] == 0.5
    assert scales[2, 5] == 1.0  # no dihedral scales it
    assert [pair for pair, scale in scales.items() if scale == 0.0] == [
        (i, j) for i in range(6) for j in range(i + 1, min(i + 3, 6))
    ]
    assert set(np.asarray(exclusions(structure, scale14=0.25).scales).tolist()) == {0.0, 0.25}
    np.testing.assert_allclose(charges(structure), 0.1 * np.arange(6) - 0.25)


def test_named_pairs_of_gromacs_are_scaled_and_partners_left_out() -> None:
    from sci.interop.parmed import exclusions

    structure = _chain()
    pair = parmed.NonbondedExceptionType(1.0, 1.0, chgscale=0.4)
    structure.adjusts.append(parmed.NonbondedException(structure.atoms[0], structure.atoms[3], pair))
    structure.atoms[0].exclude(structure.atoms[5])
    found = exclusions(structure)
    scales = dict(zip(map(tuple, found.pairs.tolist()), np.asarray(found.scales).tolist()))
    assert (scales[0, 3], scales[0, 5], scales[1, 4]) == (0.4, 0.0, 1.0)


def test_files_are_read_or_refused(tmp_path: Path) -> None:
    from sci.interop.parmed import exclusions, read_topology

    path = tmp_path / "water.psf"
    path.write_text(PSF)
    assert exclusions(read_topology(path)).pairs.tolist() == [[0, 1], [0, 2], [1, 2]]
    path.write_text("nothing")
    with pytest.raises(FileFormatError, match="ParmEd cannot read it"):
        read_topology(path)
