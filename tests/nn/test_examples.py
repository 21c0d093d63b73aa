"""Every public class and function of sci.nn has an example, and its output is what the docstring prints."""

from __future__ import annotations

import doctest
import inspect

import numpy as np
import pytest

import sci.nn

PROTOCOLS = {"Dataset", "Model", "Optimizer", "Schedule", "WeightView"}
"""Types that have no behavior of their own; docs/explanation/training.md shows them at work."""
PARSER = doctest.DocTestParser()


@pytest.mark.parametrize("name", [n for n in sci.nn.__all__ if n not in PROTOCOLS])
def test_the_example_of_a_docstring_runs(name):
    text = inspect.getdoc(getattr(sci.nn, name)) or ""
    test = PARSER.get_doctest(text, {}, name, None, 0)
    assert test.examples, f"sci.nn.{name} has no example"
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    with np.printoptions(legacy=False):
        assert runner.run(test).failed == 0
