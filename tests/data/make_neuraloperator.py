"""Write models of neuraloperator 2.0.0 (extra peers) with an input and the output, for tests without that library.

python tests/data/make_neuraloperator.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from neuralop.models import FNO

MODELS = {
    "fno": {"n_modes": (4, 6), "in_channels": 2, "out_channels": 1, "hidden_channels": 6, "n_layers": 2},
    "tfno": {
        **{"n_modes": (4, 4, 4), "in_channels": 1, "out_channels": 2, "hidden_channels": 5, "n_layers": 2},
        **{"factorization": "tucker", "rank": 0.2, "norm": "group_norm"},
    },
}
GRIDS = {"fno": (8, 9), "tfno": (6, 4, 7)}

for name, options in MODELS.items():
    torch.manual_seed(0)
    model = FNO(**options)
    state = {key: value.numpy() for key, value in model.state_dict().items() if key != "_metadata"}
    x = np.random.default_rng(0).normal(size=(2, options["in_channels"], *GRIDS[name])).astype(np.float32)
    with torch.no_grad():
        y = model(torch.from_numpy(x)).numpy()
    folder = Path(__file__).parent
    np.savez_compressed(folder / f"neuraloperator_{name}.npz", **state)
    np.savez_compressed(folder / f"neuraloperator_{name}_output.npz", x=x, y=y)
