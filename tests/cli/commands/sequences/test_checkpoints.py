"""`sci sequence import`: the model that it writes, and bad checkpoints."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_cases import run
from transnormer_checkpoints import HEADS, LAYERS, WIDTH, tensors_of, write

from sci.interop.safetensors import load_transnormer
from sci.io import load


@pytest.mark.parametrize("decays", ["code", "paper"])
def test_the_file_holds_the_model_of_the_adapter(tmp_path: Path, capsys, decays: str) -> None:
    folder, out = write(tmp_path, tensors_of(np.float32)), tmp_path / "model.h5"
    assert run("sequence", "import", folder, "-o", out, "--decays", decays, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    found, expected = load(out), load_transnormer(folder, decays=decays)
    assert (report["width"], report["heads"], report["layers"]) == (WIDTH, HEADS, LAYERS)
    assert report["parameters"] == sum(p.size for p in expected.parameters.values())
    assert found.parameters.keys() == expected.parameters.keys()
    for name, array in expected.parameters.items():
        np.testing.assert_array_equal(found.parameters[name], array)
    np.testing.assert_array_equal(found.decays, expected.decays)


def test_a_file_that_exists_is_kept(tmp_path: Path) -> None:
    folder, out = write(tmp_path, tensors_of(np.float32)), tmp_path / "model.h5"
    out.write_text("mine")
    assert run("sequence", "import", folder, "-o", out) == 2
    assert out.read_text() == "mine"
    assert run("sequence", "import", folder, "-o", out, "--overwrite") == 0


def test_a_bad_checkpoint_is_named_and_leaves_no_file(tmp_path: Path, capsys) -> None:
    tensors = tensors_of(np.float32)
    del tensors["lm_head.weight"]
    assert run("sequence", "import", write(tmp_path, tensors), "-o", tmp_path / "model.h5") == 2
    assert "lm_head.weight" in capsys.readouterr().err
    assert not (tmp_path / "model.h5").exists()
