"""Write models of neuraloperator 2.0.0 (extra peers) with an input and the output, for tests without that library.

python tests/data/make_neuraloperator.py [NAME ...]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from neuralop.models import FNO, SFNO, UNO

from sci.operators import neuraloperator_state

SMALL = {"in_channels": 1, "out_channels": 2, "hidden_channels": 4, "n_layers": 2}
MODELS = {
    "fno": (FNO, {"n_modes": (4, 6), "in_channels": 2, "out_channels": 1, "hidden_channels": 6, "n_layers": 2}, (8, 9)),
    "tfno": (
        *(
            FNO,
            {"n_modes": (4, 4, 4), "in_channels": 1, "out_channels": 2, "hidden_channels": 5, "n_layers": 2}
            | {"factorization": "tucker", "rank": 0.2, "norm": "group_norm"},
        ),
        (6, 4, 7),
    ),
    "sfno": (SFNO, {**SMALL, "n_modes": (6, 8)}, (10, 20)),
    "complex": (FNO, {**SMALL, "n_modes": (4, 4), "complex_data": True, "norm": "group_norm"}, (8, 6)),
    "separable": (FNO, {**SMALL, "n_modes": (4, 4), "separable": True, "factorization": "cp", "rank": 0.9}, (8, 7)),
    "scaled": (FNO, {**SMALL, "n_modes": (4, 4), "resolution_scaling_factor": [2, 0.5]}, (8, 6)),
    "uno": (
        UNO,
        {
            **{"in_channels": 1, "out_channels": 2, "hidden_channels": 4, "lifting_channels": 6},
            **{"projection_channels": 5, "n_layers": 3, "channel_mlp_skip": "linear", "domain_padding": 0.25},
            **{"uno_out_channels": [4, 6, 4], "uno_n_modes": [[4, 4], [2, 4], [4, 4]]},
            "uno_scalings": [[1, 1], [0.5, 0.5], [2, 2]],
        },
        (8, 8),
    ),
}
BARE = ("fno", "tfno")
"""Files without options, as that library writes them by itself."""

for name in sys.argv[1:] or MODELS:
    kind, options, grid = MODELS[name]
    torch.manual_seed(0)
    model = kind(**options)
    state = neuraloperator_state(model)
    if name in BARE:
        del state["_metadata"]
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, options["in_channels"], *grid)).astype(np.float32)
    if options.get("complex_data"):
        x = (x + 1j * rng.normal(size=x.shape)).astype(np.complex64)
    with torch.no_grad():
        y = model(torch.from_numpy(x)).numpy()
    folder = Path(__file__).parent
    np.savez_compressed(folder / f"neuraloperator_{name}.npz", **state)
    np.savez_compressed(folder / f"neuraloperator_{name}_output.npz", x=x, y=y)
