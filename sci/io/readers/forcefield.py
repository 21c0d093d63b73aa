"""PDB and mmCIF files, whose charges and radii pdb2pqr assigns by a force field."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from sci.errors import FileFormatError, InvalidValueError
from sci.io.readers.macromolecule import check_coordinates, one_line, read_models
from sci.io.readers.pqr import read_pqr
from sci.io.readers.text import read_bytes
from sci.potentials.particles import Particles

__all__ = ["FORCEFIELDS", "read_with_forcefield"]

FORCEFIELDS = ("AMBER", "CHARMM", "PARSE", "TYL06", "PEOEPB", "SWANSON")

_REASON = re.compile(r"^(?:CRITICAL|ERROR|\w+Error|\w+Exception):\s*(.*)", re.MULTILINE)


def read_with_forcefield(
    path: str | Path, format: str, forcefield: str | None, *, model: int | None = None
) -> Particles:
    """Read a PDB or mmCIF file; pdb2pqr adds hydrogens, charges and radii.

    Parameters
    ----------
    path : path
    format : {"pdb", "mmcif"}
    forcefield : {"AMBER", "CHARMM", "PARSE", "TYL06", "PEOEPB", "SWANSON"}
    model : int, optional
        Which model to read, counted from 1; needed only where the file holds several.

    Raises
    ------
    FileFormatError
        If no force field is named, gemmi cannot read the file, or pdb2pqr cannot assign charges; with its reason.
    MissingDependencyError
        Without gemmi or pdb2pqr.

    Notes
    -----
    gemmi reads the file and writes the chosen model as PDB for pdb2pqr, which runs in a process of its own.
    pdb2pqr leaves out atoms that the force field does not know (ligands, metals); a UserWarning names their residues.
    """
    path = Path(path)
    content = read_bytes(path)
    if format == "mmcif" and b"_atom_site_fract_x" in content and b"_atom_site.Cartn_x" not in content:
        raise FileFormatError(
            f"{path}: this is the CIF of a crystal, not of a macromolecule; read it with read_crystal, or compute its "
            "potential with `sci lattice`"
        )
    if forcefield is None:
        raise FileFormatError(
            f"{path}: a {format} file holds no charges; pass forcefield='AMBER' (one of {', '.join(FORCEFIELDS)}; "
            "needs pdb2pqr), or a PQR file"
        )
    name = forcefield.upper()
    if name not in FORCEFIELDS:
        raise InvalidValueError(f"forcefield is {forcefield!r}; expected one of {', '.join(FORCEFIELDS)}")
    structure = _one_model(path, format, model)
    check_coordinates(path, format, content.decode("utf-8", "replace").splitlines())
    with tempfile.TemporaryDirectory(prefix="sci-pdb2pqr-") as folder:
        return _assign(path, structure, name, Path(folder))


def _one_model(path: Path, format: str, model: int | None) -> Any:
    """Read by gemmi and keep one model."""
    structure = read_models(path, format, needs=("gemmi", "pdb2pqr"))
    count = len(structure)
    if model is None and count > 1:
        raise FileFormatError(f"{path}: the file holds {count} models; choose one with model=1 to model={count}")
    if not 1 <= (model or 1) <= count:
        raise FileFormatError(f"{path}: there is no model {model}; expected 1 to {count}")
    for index in reversed(range(count)):
        if index != (model or 1) - 1:
            del structure[index]
    return structure


def _assign(path: Path, structure: Any, forcefield: str, folder: Path) -> Particles:
    """Run pdb2pqr in `folder` and read its answer."""
    source, target = folder / "input.pdb", folder / "output.pqr"
    try:
        structure.shorten_chain_names()
        _name_chains(structure)
        structure.write_minimal_pdb(str(source))
    except RuntimeError as error:
        raise FileFormatError(f"{path}: too large for pdb2pqr's PDB input: {one_line(str(error))}") from error
    command = [sys.executable, "-W", "ignore", "-m", "pdb2pqr", f"--ff={forcefield}", "--keep-chain", "--whitespace"]
    run = subprocess.run([*command, str(source), str(target)], capture_output=True, text=True, cwd=folder)
    if run.returncode != 0 or not target.is_file():
        reasons = _REASON.findall(run.stderr + run.stdout)
        reason = one_line(max(reasons, key=len)) if reasons else f"exit status {run.returncode}"
        raise FileFormatError(
            f"{path}: pdb2pqr could not assign {forcefield} charges: {reason[:500]}; repair the structure or choose "
            "another force field"
        )
    lost = _lost_residues(structure, target.read_text())
    if lost:
        warnings.warn(
            f"{path}: {forcefield} has no charges for {', '.join(lost[:10])}{', ...' * (len(lost) > 10)} ({len(lost)} "
            "residues); pdb2pqr left them out",
            stacklevel=5,
        )
    try:
        return read_pqr(target)
    except FileFormatError as error:
        raise FileFormatError(f"{path}: after pdb2pqr: {str(error).removeprefix(str(target))}") from error


def _name_chains(structure: Any) -> None:
    """Name blank chains by a free letter: pdb2pqr would invent one, and its residues could not be identified."""
    free = iter(sorted(set(ascii_uppercase) - {chain.name for chain in structure[0]}))
    for chain in structure[0]:
        if not chain.name.strip():
            chain.name = next(free, " ")


def _lost_residues(structure: Any, output: str) -> list[str]:
    """Return name, chain and number of the residues of which no atom is in pdb2pqr's output."""
    kept = {"".join(line.split()[4:-5]) for line in output.splitlines() if line.startswith(("ATOM", "HETATM"))}
    return [
        f"{residue.name} {chain.name}{residue.seqid}"
        for chain in structure[0]
        for residue in chain
        if f"{chain.name}{residue.seqid}".strip() not in kept
    ]
