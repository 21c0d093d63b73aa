"""A small checkpoint of TransNormerLLM by the published names, with random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

WIDTH, HEADS, LAYERS, HIDDEN, VOCABULARY = 12, 3, 3, 10, 17
CONFIG = {
    **{"decoder_embed_dim": WIDTH, "decoder_layers": LAYERS, "decoder_attention_heads": HEADS, "bias": False},
    **{"vocab_size": VOCABULARY, "glu_dim": HIDDEN, "hidden_dim": WIDTH, "norm_type": "simplermsnorm"},
    **{"linear_act_fun": "silu", "linear_use_lrpe_list": [1, 0, 0], "no_scale_embedding": False},
}


def tensors_of(dtype: Any = np.float64) -> dict[str, np.ndarray]:
    """Return the tensors by name."""
    rng = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (VOCABULARY, WIDTH)}
    for i in range(LAYERS):
        mixer, unit = f"model.layers.{i}.token_mixer.", f"model.layers.{i}.channel_mixer."
        shapes |= {mixer + "qkvu_proj.weight": (4 * WIDTH, WIDTH), mixer + "out_proj.weight": (WIDTH, WIDTH)}
        shapes |= {unit + "l1.weight": (HIDDEN, WIDTH), unit + "l2.weight": (HIDDEN, WIDTH)}
        shapes |= {unit + "l3.weight": (WIDTH, HIDDEN)}
    shapes |= {
        "model.layers.0.token_mixer.lrpe.theta": (HEADS, 1, WIDTH // HEADS),
        "lm_head.weight": (VOCABULARY, WIDTH),
    }
    return {n: rng.normal(0, 0.4, s).astype(dtype) for n, s in shapes.items()}


def write(folder: Path, tensors: dict[str, np.ndarray], **changes: Any) -> Path:
    """Write the tensors and config.json, with other options, and return the folder."""
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(CONFIG | changes))
    return folder
