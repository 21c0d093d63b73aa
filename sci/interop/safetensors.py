"""Checkpoints of TransNormerLLM in the safetensors format as models of ours; nothing is unpickled."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sci.errors import FileFormatError, InvalidValueError
from sci.interop.packages import missing
from sci.sequence import TransNormer, transnormer_decays

try:
    import ml_dtypes  # noqa: F401 - the package finds bfloat16 in NumPy by this import alone
    import safetensors
except ImportError as error:
    raise missing("safetensors") from error

__all__ = ["load_transnormer", "published_decays", "read_tensors"]

_REQUIRED = {"norm_type": "simplermsnorm", "linear_act_fun": "silu", "bias": False}
"""Options with the only values that a TransNormer has."""
_LAYER = "model.layers.{}."


def read_tensors(path: str | Path) -> dict[str, np.ndarray]:
    """Return the tensors of a safetensors file, or of all such files in a folder, by name; bfloat16 as float32.

    Parameters
    ----------
    path : path

    Returns
    -------
    dict of arrays

    Raises
    ------
    FileFormatError
        For a damaged file, one of another format, a tensor that is in two files, and one that the index of a folder,
        model.safetensors.index.json, names and no file has.
    """
    found: dict[str, np.ndarray] = {}
    for file in _files(Path(path)):
        try:
            with safetensors.safe_open(file, framework="numpy") as opened:
                for name in opened.keys():  # noqa: SIM118 - this object is no mapping
                    if name in found:
                        raise FileFormatError(f"{file}: the tensor {name} is in two files; expected it in one")
                    array = opened.get_tensor(name)
                    found[name] = array.astype(np.float32) if array.dtype.name == "bfloat16" else array
        except FileFormatError:
            raise
        except Exception as error:  # those of the package have no common class
            raise FileFormatError(
                f"{file}: not a safetensors file ({error}); write a checkpoint of torch by "
                "safetensors.torch.save_file(torch.load(path, weights_only=True), 'model.safetensors')"
            ) from error
    if Path(path).is_dir():
        _require_indexed(Path(path) / "model.safetensors.index.json", found)
    return found


def _require_indexed(file: Path, found: Mapping[str, np.ndarray]) -> None:
    """Raise FileFormatError for a tensor that an index names and no file has; the names of files are not followed."""
    if not file.exists():
        return
    try:
        named = dict(json.loads(file.read_text())["weight_map"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FileFormatError(f"{file}: {error!r}; expected a JSON object with weight_map, files by tensor") from error
    missed = sorted(set(named) - set(found))
    if missed:
        raise FileFormatError(
            f"{file}: the tensor {missed[0]} of {named[missed[0]]!r} is in no file of the folder; copy all files there"
        )


def _files(path: Path) -> list[Path]:
    # The functions of os.path take a name that the system refuses for one that is not there.
    files = sorted(path.glob("*.safetensors")) if os.path.isdir(path) else [path]
    if not files or not all(os.path.isfile(f) for f in files):
        raise FileFormatError(f"{path}: there is no safetensors file; check the name and the folder")
    return files


def published_decays(heads: int, layers: int, kind: Literal["code", "paper"] = "code") -> np.ndarray:
    """Return the decays of all layers of TransNormerLLM, as its code or its paper has them.

    Parameters
    ----------
    heads, layers : int
    kind : {"code", "paper"}
        "code": the slopes of ALiBi times 1 - layer / (layers - 1) + 1e-5. The slopes of h heads are 2^(-8 i / h) if h
        is a power of 2; otherwise those of the largest power below, and every second one of twice as many heads.
        "paper": (8 i / heads) (1 - layer / layers), i = 1 ... heads.

    Returns
    -------
    (layers, heads) float64 array

    Raises
    ------
    InvalidValueError

    References
    ----------
    Qin et al., arXiv 2307.14995, equation 3; the published modeling_transnormer.py; Press et al., arXiv 2108.12409.

    Examples
    --------
    >>> from sci.interop.safetensors import published_decays
    >>> published_decays(2, 2, "paper")
    array([[4., 8.],
           [2., 4.]])
    """
    if kind not in ("code", "paper") or heads < 1 or layers < 1:
        raise InvalidValueError(
            f"decays {kind!r} of {heads} heads and {layers} layers; expected 'code' or 'paper', and 1 or more of both"
        )
    if kind == "paper":
        return 8.0 * np.arange(1, heads + 1) / heads * (1 - np.arange(layers)[:, None] / layers)
    below = 2 ** (heads.bit_length() - 1)
    slopes = transnormer_decays(below, 0, 1)
    if below < heads:
        slopes = np.concatenate([slopes, transnormer_decays(2 * below, 0, 1)[::2][: heads - below]])
    depth = 1 - np.arange(layers) / (layers - 1) + 1e-5 if layers > 1 else np.ones(1)
    found: np.ndarray = depth[:, None] * slopes
    return found


def load_transnormer(
    path: str | Path, config: Mapping[str, Any] | None = None, *, decays: Literal["code", "paper"] = "code"
) -> TransNormer:
    """Return the model of a checkpoint of TransNormerLLM.

    Parameters
    ----------
    path : path
        A safetensors file, or a folder of them with config.json.
    config : mapping, optional
        What config.json holds; that beside the file by default.
    decays : {"code", "paper"}
        Checkpoints hold no decays: see `published_decays`.

    Returns
    -------
    TransNormer
        In the precision of the checkpoint; of bfloat16 in float32.

    Raises
    ------
    FileFormatError
        For a file that cannot be read, and a config that is not there.
    InvalidValueError
        For a tensor that is missing, unknown or of another shape, by its name, and for options that a TransNormer does
        not have: biases, another norm or activation, rotations beyond the first layer, hidden_dim other than the width.

    Notes
    -----
    Rows of token_mixer.qkvu_proj are those of q, k, v and u; channel_mixer.l1, l2 and l3 are the gated unit. The factor
    sqrt(width) of embeddings, unless no_scale_embedding says that there is none, becomes part of them.
    """
    path = Path(path)
    _files(path)  # a wrong name is told before the config is looked for
    options = dict(_config(path) if config is None else config)
    wrong = [n for n, v in _REQUIRED.items() if n in options and options[n] != v]
    if wrong:
        raise InvalidValueError(f"config: {wrong[0]} is {options[wrong[0]]!r}; expected {_REQUIRED[wrong[0]]!r}")
    left = read_tensors(path)
    found, heads = _parameters(left, options)
    layers = len({n.partition(".")[0] for n in found if n[0].isdigit()})
    vocabulary, width = found["embedding"].shape
    hidden = found["0.unit.v"].shape[0]
    return TransNormer(
        width, heads, layers, hidden, vocabulary, found, published_decays(heads, layers, decays).tolist()
    )


def _config(path: Path) -> Mapping[str, Any]:
    file = (path if os.path.isdir(path) else path.parent) / "config.json"
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise FileFormatError(f"{file}: {error}; expected the config of the checkpoint, or pass config=") from error
    if not isinstance(found, dict):
        raise FileFormatError(f"{file}: expected an object of options by name")
    return found


def _parameters(left: dict[str, np.ndarray], options: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], int]:
    """Return the arrays under our names, and the heads."""
    names = [m for name in left if (m := re.match(r"model\.layers\.(\d+)\.", name))]
    layers = int(options.get("decoder_layers", 1 + max((int(m[1]) for m in names), default=-1)))
    embedding = _take(left, "model.embed_tokens.weight", (options.get("vocab_size"), options.get("decoder_embed_dim")))
    vocabulary, width = embedding.shape
    theta = _take(left, _LAYER.format(0) + "token_mixer.lrpe.theta", (options.get("decoder_attention_heads"), 1, None))
    heads, _, head_dim = theta.shape
    if layers < 1 or heads * head_dim != width:
        raise InvalidValueError(
            f"{_LAYER.format(0)}token_mixer.lrpe.theta has shape {theta.shape}; expected heads x 1 x head_dim with "
            f"heads head_dim = {width}, and at least one layer"
        )
    scale = 1.0 if options.get("no_scale_embedding", False) else width**0.5
    found = {"embedding": embedding * embedding.dtype.type(scale), "0.attention.theta": theta[:, 0]}
    hidden = options.get("glu_dim")
    hidden = width if hidden == -1 else hidden
    for layer in range(layers):
        prefix = _LAYER.format(layer)
        fused = _take(left, prefix + "token_mixer.qkvu_proj.weight", (4 * width, width))
        found |= {f"{layer}.attention.{n}": np.ascontiguousarray(a) for n, a in zip("qkvu", np.split(fused, 4))}
        found[f"{layer}.attention.o"] = _take(left, prefix + "token_mixer.out_proj.weight", (width, width))
        found[f"{layer}.unit.v"] = _take(left, prefix + "channel_mixer.l1.weight", (hidden, width))
        hidden = len(found[f"{layer}.unit.v"])
        found[f"{layer}.unit.u"] = _take(left, prefix + "channel_mixer.l2.weight", (hidden, width))
        found[f"{layer}.unit.o"] = _take(left, prefix + "channel_mixer.l3.weight", (width, hidden))
    found["head"] = _take(left, "lm_head.weight", (vocabulary, width))
    if left:
        raise InvalidValueError(f"tensors that a TransNormer does not have: {', '.join(sorted(left)[:5])}")
    return found, heads


def _take(left: dict[str, np.ndarray], name: str, shape: tuple[int | None, ...]) -> np.ndarray:
    """Return a tensor taken out of `left`, or raise; None in `shape` is any length."""
    if name not in left:
        raise InvalidValueError(f"the checkpoint has no tensor {name}; expected that of a TransNormerLLM")
    array = left.pop(name)
    if array.ndim != len(shape) or any(s is not None and s != n for s, n in zip(shape, array.shape)):
        wanted = " x ".join("any" if s is None else str(s) for s in shape)
        raise InvalidValueError(f"the tensor {name} has shape {array.shape}; expected {wanted}")
    if array.dtype.kind != "f" or not np.isfinite(array).all():
        raise InvalidValueError(f"the tensor {name} is of {array.dtype} or has NaN or infinity; expected finite floats")
    return array
