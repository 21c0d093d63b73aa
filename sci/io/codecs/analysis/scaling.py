"""Fitted power laws in files, with the fits to resampled residuals from which intervals come."""

from __future__ import annotations

import json

import numpy as np

from sci.errors import FileFormatError, InvalidValueError
from sci.io.core.datasets import Group, read_array, read_text, write_array, write_text
from sci.io.core.registry import codec
from sci.scaling import PowerLaw, PowerLawFit

_TERMS = ("amplitudes", "exponents", "references")


@codec(PowerLawFit, kind="power_law", units="those of the runs", in_root=True)
class _PowerLawCodec:
    """`limit`; `amplitudes`, `exponents`, `references` (term); `samples` (sample, parameter), limit, amplitudes and
    exponents of each fit to resampled residuals, and `noise` (sample), the deviation of a run about it over its loss;
    `x` (run, term) and `loss` (run), what was fitted; `seed` (integer); attribute `names` (JSON), what the columns of x
    are."""

    @staticmethod
    def write(group: Group, fit: PowerLawFit) -> None:
        write_array(group, "limit", np.float64(fit.law.limit))
        for name, unit in zip(_TERMS, ("", "1", "")):
            write_array(group, name, np.asarray(getattr(fit.law, name), dtype=float), unit, ("term",))
        write_array(group, "samples", np.asarray(fit.samples), "", ("sample", "parameter"))
        write_array(group, "noise", np.asarray(fit.noise), "1", ("sample",))
        write_array(group, "x", np.asarray(fit.x), "", ("run", "term"))
        write_array(group, "loss", np.asarray(fit.loss), "", ("run",))
        write_array(group, "seed", np.int64(fit.seed), "1")
        write_text(group, "names", json.dumps(list(fit.names)))

    @staticmethod
    def read(group: Group) -> PowerLawFit:
        terms = {name: read_array(group, name, (None,)) for name in _TERMS}
        k = len(terms["exponents"])
        samples = read_array(group, "samples", (None, 1 + 2 * k))
        noise = read_array(group, "noise", (len(samples),))
        loss = read_array(group, "loss", (None,))
        x = read_array(group, "x", (len(loss), k))
        seed = int(read_array(group, "seed", (), ("i8",)))
        names = json.loads(read_text(group, "names"))
        if not isinstance(names, list) or len(names) != k or not all(isinstance(name, str) for name in names):
            raise FileFormatError(f"{group.name}: names is {names!r}; expected {k} texts")
        try:
            law = PowerLaw(float(read_array(group, "limit", ())), **{n: tuple(v.tolist()) for n, v in terms.items()})
        except InvalidValueError as error:
            raise FileFormatError(f"{group.name}: {error}") from error
        return PowerLawFit(law, samples, noise, x, loss, seed, tuple(names))
