"""A language model that ranks train on a corpus; test_programs.py compares its parts with one process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from launcher import MpiResult

from sci.io import load

pytestmark = pytest.mark.mpi
EXAMPLE = Path(__file__).parents[2] / "mpi_examples" / "train_language_model.py"


def test_a_model_is_trained_on_a_corpus_and_saved(run_mpi: Callable[..., str], tmp_path: Path) -> None:
    corpus, out = tmp_path / "corpus.txt", tmp_path / "model.h5"
    corpus.write_text("a small text, written for this test. " * 30)
    small = ("--epochs", 1, "--length", 64, "--batch", 4, "--width", 16, "--layers", 1)
    output = run_mpi(EXAMPLE, 3, corpus, "-o", out, *small, "--prompt", "a small")
    assert "bits a byte" in output
    model = load(out)
    assert (model.width, model.layers) == (16, 1)
    assert len(model.generate(b"a small", 5)) == 5


@pytest.mark.parametrize("text", [None, "too short"])
def test_a_bad_corpus_ends_all_ranks_with_one_line(
    launch_mpi: Callable[..., MpiResult], tmp_path: Path, text: str | None
) -> None:
    corpus = tmp_path / "corpus.txt"
    if text is not None:
        corpus.write_text(text)
    result = launch_mpi(EXAMPLE, 2, corpus, "-o", tmp_path / "model.h5", timeout=60)
    assert result.returncode == 2
    assert result.output.count("train_language_model: error:") == 1
    assert not (tmp_path / "model.h5").exists()
