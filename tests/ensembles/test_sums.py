"""Units in which sums are exact."""

from __future__ import annotations

import numpy as np

from sci.ensembles.sums import units_of_sums


def test_sums_of_integers_of_the_unit_fit_into_64_bits():
    largest = np.array([1.0, 3.0, 1e-300, 1e300, 0.0])
    units = units_of_sums(largest, 1000, None)
    assert units[-1] == 1
    wholes = largest[:-1] / units[:-1]
    assert (1000 * wholes < 2.0**62).all()
    assert (wholes > 2.0**49).all()
    np.testing.assert_array_equal(np.log2(units), np.rint(np.log2(units)))
