"""One right call of every public function and class of next-scale prediction, to be spoiled argument by argument."""

from __future__ import annotations

import numpy as np
from entry_calls import Call, call
from next_scale_cases import conditional, conditions

from sci import generative


def next_scale_calls() -> dict[str, Call]:
    """Return the calls by name."""
    quantizer, model, tokens = conditional(2)
    config, given, fields = model.config, conditions(2), np.zeros((2, 2, 3, 3))
    codes = quantizer.split(tokens.codes)
    options = {"vocabulary": 7, "channels": 2, "width": 8, "heads": 2, "layers": 2, "hidden": 12, "classes": 3}
    return {
        "NextScaleConfig": call(generative.NextScaleConfig, [[1, 1], [2, 2]], **options, codebook="00"),
        "NextScaleConfig.of": call(generative.NextScaleConfig.of, quantizer, width=8, heads=2),
        "NextScaleConfig.require_quantizer": call(config.require_quantizer, quantizer),
        "NextScaleModel": call(generative.NextScaleModel, config, model.parameters),
        "NextScaleModel.create": call(generative.NextScaleModel.create, config, seed=0, dtype=np.float64),
        "NextScaleModel.__call__": call(model, tokens),
        "NextScaleModel.from_state": call(generative.NextScaleModel.from_state, model.to_state()),
        "NextScaleModel.loss": call(
            model.loss, model.parameters, tokens, keep=np.ones(2), method="ring", layout="striped"
        ),
        "NextScaleModel.nats": call(model.nats, tokens, batch_size=2),
        "NextScaleModel.sample": call(
            model.sample, quantizer, 2, given=codes[:1], sampling=generative.Sampling(), seed=1, batch_size=2, **given
        ),
        "NextScaleModel.with_parameters": call(model.with_parameters, model.parameters),
        "Sampling": call(generative.Sampling, 0.9, 4, 0.9, 1.0),
        "Sampling.at": call(generative.Sampling([0.9, 0.5]).at, 1, 2),
        "Sampling.strength": call(generative.Sampling(guidance=1.0).strength, 1, 3),
        "ScaleTokens": call(generative.ScaleTokens, tokens.codes, tokens.inputs, tokens.condition, tokens.codebook),
        "ScaleTokens.of": call(generative.ScaleTokens.of, config, quantizer, fields, **given),
        "ScaleTokens.of_codes": call(generative.ScaleTokens.of_codes, config, quantizer, codes, **given),
        "train_next_scale": call(
            generative.train_next_scale, model, tokens, epochs=1, batch_size=2, drop=0.1, tests={"t": tokens}, seed=1
        ),
    }
