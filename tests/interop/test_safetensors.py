"""Checkpoints of TransNormerLLM, written here by the published names, against the published formulas in NumPy."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from transnormer_checkpoints import CONFIG, HEADS, HIDDEN, LAYERS, VOCABULARY, WIDTH, save_file, tensors_of, write

from sci.errors import FileFormatError, InvalidValueError
from sci.interop.safetensors import load_transnormer, published_decays, read_tensors


def _norm(x: np.ndarray) -> np.ndarray:
    return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-6)


def _logits(w: dict[str, np.ndarray], tokens: np.ndarray, decays: np.ndarray, scale: float) -> np.ndarray:
    """Return the logits of one text, token by token by the recurrence with complex rotations."""
    x, n, d = scale * w["model.embed_tokens.weight"][tokens], len(tokens), WIDTH // HEADS
    for i in range(LAYERS):
        mixer, unit = f"model.layers.{i}.token_mixer.", f"model.layers.{i}.channel_mixer."
        q, k, v, u = np.split(_norm(x) @ w[mixer + "qkvu_proj.weight"].T, 4, axis=1)
        q, k = (a / (1 + np.exp(-a)) for a in (q, k))
        out = np.zeros((n, WIDTH))
        for h in range(HEADS):
            part = slice(h * d, (h + 1) * d)
            theta = w[mixer + "lrpe.theta"][h, 0] if i == 0 else np.zeros(d)
            state = np.zeros((d, d), complex)
            for t in range(n):
                state = np.exp(-decays[i, h]) * state
                state = state + np.outer(k[t, part] * np.exp(-1j * theta * t), v[t, part])
                out[t, part] = ((q[t, part] * np.exp(1j * theta * t)) @ state).real
        x = x + (_norm(out) * u) @ w[mixer + "out_proj.weight"].T
        y = _norm(x)
        x = x + ((y @ w[unit + "l1.weight"].T) * (y @ w[unit + "l2.weight"].T)) @ w[unit + "l3.weight"].T
    return _norm(x) @ w["lm_head.weight"].T


@pytest.mark.parametrize("decays", ["code", "paper"])
@pytest.mark.parametrize("plain", [False, True])
def test_logits_are_those_of_the_published_formulas(tmp_path: Path, decays: Any, plain: bool) -> None:
    tensors, tokens = tensors_of(), np.random.default_rng(1).integers(0, VOCABULARY, 40)
    model = load_transnormer(write(tmp_path, tensors, no_scale_embedding=plain), decays=decays)
    layer, head = np.arange(LAYERS)[:, None], np.arange(1, HEADS + 1)
    slopes = np.array([1 / 16, 1 / 256, 1 / 4])  # ALiBi of 3 heads: those of 2, and the first of 4
    by_kind = {"code": slopes * (1 - layer / 2 + 1e-5), "paper": 8 * head / HEADS * (1 - layer / LAYERS)}
    expected = _logits(tensors, tokens, by_kind[decays], 1.0 if plain else np.sqrt(WIDTH))
    found = model.prefill(tokens[None])[0][0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11 * np.abs(expected).max())
    assert (model.heads, model.layers, model.hidden, model.vocabulary) == (HEADS, LAYERS, HIDDEN, VOCABULARY)


def test_several_files_and_a_single_one_with_its_config(tmp_path: Path) -> None:
    tensors = tensors_of(np.float32)
    whole = load_transnormer(write(tmp_path, tensors) / "model.safetensors")
    (tmp_path / "parts").mkdir()
    names = sorted(tensors)
    for k in (0, 1):
        part = {n: tensors[n] for n in names[k::2]}
        save_file(part, tmp_path / "parts" / f"model-0000{k}.safetensors")
    parts = load_transnormer(tmp_path / "parts", CONFIG)
    assert all(np.array_equal(parts.parameters[n], a) for n, a in whole.parameters.items())
    assert {a.dtype for a in whole.parameters.values()} == {np.dtype(np.float32)}
    save_file({names[0]: tensors[names[0]]}, tmp_path / "parts" / "more.safetensors")
    with pytest.raises(FileFormatError, match="is in two files"):
        read_tensors(tmp_path / "parts")


def test_bfloat16_becomes_float32(tmp_path: Path) -> None:
    tensors = tensors_of(ml_dtypes.bfloat16)
    found = read_tensors(write(tmp_path, tensors))
    assert all(a.dtype == np.float32 and np.array_equal(a, tensors[n].astype("f4")) for n, a in found.items())
    assert load_transnormer(tmp_path).parameters["head"].dtype == np.float32


def test_bfloat16_is_read_by_a_process_that_imported_nothing_else(tmp_path: Path) -> None:
    header = json.dumps({"a": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    data = struct.pack("<Q", len(header)) + header + bytes([0x80, 0x3F, 0x20, 0xC0])
    (tmp_path / "a.safetensors").write_bytes(data)
    code = (
        "import sys; from sci.interop.safetensors import read_tensors; print(*read_tensors(sys.argv[1])['a'].tolist())"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert done.stdout == "1.0 -2.5\n", done.stderr


def test_a_file_of_the_index_that_is_not_there_is_named_and_none_outside_is_read(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    save_file({"b": np.ones(2)}, tmp_path / "outside.safetensors")
    save_file({"a": np.ones(2)}, tmp_path / "parts" / "model-00001-of-00002.safetensors")
    index = tmp_path / "parts" / "model.safetensors.index.json"
    places = {"a": "model-00001-of-00002.safetensors", "b": "../outside.safetensors"}
    index.write_text(json.dumps({"weight_map": places}))
    with pytest.raises(FileFormatError, match=r"tensor b of '\.\./outside\.safetensors' is in no file"):
        read_tensors(tmp_path / "parts")
    index.write_text("[1]")
    with pytest.raises(FileFormatError, match="weight_map"):
        read_tensors(tmp_path / "parts")
    index.write_text(json.dumps({"weight_map": {"a": places["a"]}}))
    assert sorted(read_tensors(tmp_path / "parts")) == ["a"]


@pytest.mark.parametrize("name", sorted(tensors_of()))
def test_a_tensor_that_is_missing_or_of_another_shape_is_named(tmp_path: Path, name: str) -> None:
    tensors = tensors_of()
    array = tensors.pop(name)
    with pytest.raises(InvalidValueError, match=name.replace(".", r"\.")):
        load_transnormer(write(tmp_path, tensors))
    with pytest.raises(InvalidValueError, match=name.replace(".", r"\.")):
        load_transnormer(write(tmp_path, tensors | {name: np.concatenate([array, array])}))
    array.flat[0] = np.nan
    with pytest.raises(InvalidValueError, match=name.replace(".", r"\.")):
        load_transnormer(write(tmp_path, tensors | {name: array}))


@pytest.mark.parametrize(
    "name", ["model.slopes", "model.layers.1.token_mixer.lrpe.theta", "model.layers.0.token_mixer.qkvu_proj.bias"]
)
def test_a_tensor_too_many_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidValueError, match=name.replace(".", r"\.")):
        load_transnormer(write(tmp_path, tensors_of() | {name: np.zeros(3)}))


def test_what_a_transnormer_is_not(tmp_path: Path) -> None:
    for option, value in (("norm_type", "layernorm"), ("linear_act_fun", "1+elu"), ("bias", True)):
        with pytest.raises(InvalidValueError, match=option):
            load_transnormer(write(tmp_path, tensors_of(), **{option: value}))
    with pytest.raises(InvalidValueError, match="'code' or 'paper'"):
        load_transnormer(write(tmp_path, tensors_of()), decays="other")  # type: ignore[arg-type]
    (tmp_path / "config.json").unlink()
    with pytest.raises(FileFormatError, match=r"config\.json"):
        load_transnormer(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"PK\x03\x04 a checkpoint of torch")
    with pytest.raises(FileFormatError, match="weights_only=True"):
        load_transnormer(tmp_path, CONFIG)
    with pytest.raises(FileFormatError, match="no safetensors file"):
        read_tensors(tmp_path / "nothing")
    for name in ("x" * 300, "a\0b"):
        with pytest.raises(FileFormatError, match="no safetensors file"):
            load_transnormer(tmp_path / name)


def test_decays_of_powers_of_two_are_geometric() -> None:
    np.testing.assert_allclose(published_decays(8, 1)[0], 2.0 ** -np.arange(1, 9))
    assert published_decays(4, 5).shape == (5, 4)
