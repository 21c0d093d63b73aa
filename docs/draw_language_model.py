"""Train a TransNormer and draw its loss on held-out text by length of context: `draw_language_model.py PICTURE.png`.

The text is the manual that Python ships; its last tenth is held out. The same bytes are scored by byte n-grams
(Witten and Bell's interpolation), whose context is n - 1 bytes. Takes some CPU minutes.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from pydoc_data.topics import topics

import numpy as np
from matplotlib.figure import Figure

from sci.nn import AdamW, cosine, train, warm_up
from sci.sequence import TextWindows, TransNormer

CONTEXTS = (1, 2, 3, 4, 6, 8, 16, 32, 64, 128, 256, 512)
LONGEST_GRAM = 8
EPOCHS, BATCH, LENGTH = 8, 4, 512
SIZE = {"width": 96, "heads": 6, "layers": 4, "hidden": 192}


def n_gram_bits(text: bytes, held: bytes, targets: np.ndarray, context: int) -> float:
    """Return the mean -log2 probability of the bytes `targets` of `held`, each from the `context` bytes before it."""
    counts: list[defaultdict[bytes, Counter[int]]] = [defaultdict(Counter) for _ in range(context + 1)]
    for order, table in enumerate(counts):
        for i in range(order, len(text)):
            table[text[i - order : i]][text[i]] += 1

    def probability(target: int) -> float:
        p = 1 / 256
        for order, table in enumerate(counts):
            seen = table.get(held[target - order : target])
            if seen is not None:
                total = seen.total()
                p = (seen[held[target]] + len(seen) * p) / (total + len(seen))
        return p

    return -float(np.mean([np.log2(probability(int(t))) for t in targets]))


def model_bits(model: TransNormer, held: bytes, targets: np.ndarray, context: int) -> float:
    """Return the same for a model that starts `context` bytes before each target."""
    tokens = np.frombuffer(held, np.uint8).astype(np.int64)
    total = 0.0
    for part in np.array_split(targets, 16):
        rows = np.stack([tokens[t - context : t + 1] for t in part])
        logits = model.prefill(rows[:, :-1])[0][:, -1].astype(np.float64)
        logits -= logits.max(axis=-1, keepdims=True)
        total += (np.log(np.exp(logits).sum(axis=-1)) - logits[np.arange(len(rows)), rows[:, -1]]).sum()
    return float(total / len(targets) / np.log(2))


def trained(text: bytes) -> TransNormer:
    """Return a model that has read `text` a few times."""
    model = TransNormer.create(seed=0, **SIZE)
    schedule = warm_up(0.05 * EPOCHS, cosine(EPOCHS, 0.05))
    optimizer = AdamW(3e-3, weight_decay=0.01)
    done = train(
        model.loss,
        model.parameters,
        TextWindows(text, LENGTH),
        optimizer=optimizer,
        epochs=EPOCHS,
        batch_size=BATCH,
        schedule=schedule,
        schedule_each="step",
        clip=1.0,
    )
    return model.with_parameters(done.parameters)


def main(path: str) -> None:
    """Train, score and draw."""
    text = "\n\n".join(topics.values()).encode()
    cut = 9 * len(text) // 10
    text, held = text[:cut], text[cut:]
    targets = np.random.default_rng(0).choice(np.arange(max(CONTEXTS), len(held)), 1024, replace=False)
    grams = {c: n_gram_bits(text, held, targets, c) for c in CONTEXTS if c < LONGEST_GRAM}
    model = trained(text)
    bits = {c: model_bits(model, held, targets, c) for c in CONTEXTS}
    for name, found in (("n-grams", grams), ("TransNormer", bits)):
        print(name, ", ".join(f"{c}: {b:.3f}" for c, b in found.items()))
    figure = Figure(figsize=(6.2, 3.8), layout="constrained")
    axes = figure.add_subplot()
    axes.semilogx(list(bits), list(bits.values()), "o-", ms=4, base=2, label="TransNormer, 4 layers of 96")
    axes.semilogx(list(grams), list(grams.values()), "s--", ms=4, base=2, label="byte n-grams")
    axes.set(xlabel="bytes of context", ylabel="bits per byte of held-out text")
    axes.set_xticks([1, 2, 4, 8, 16, 32, 64, 128, 256, 512], labels=[1, 2, 4, 8, 16, 32, 64, 128, 256, 512])
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main(sys.argv[1])
