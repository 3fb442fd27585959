"""The trained part: a few small networks that share one hidden layer over all models, and their average.

A score's logit is its head's prior, plus what is common to all heads (how hard the prompt is), plus the head's own
deviation. Deviations are held back hardest, for a choice between models rests on them and they are mostly noise. A
second output tells tasks (a pool's groups) apart, which makes the hidden layer a better one and gives the mixture.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from predictors.logits import sigmoid

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

MEMBERS, HIDDEN = 4, 64
EPOCHS, BATCH, RATE = 15, 128, 3e-3
DECAY_INPUT, DECAY_HEAD = 0.1, 1.0  # of AdamW: what the hidden layer and the heads' deviations lose per unit of rate
DROP_INPUT, DROP_HIDDEN = 0.2, 0.3
TASK_SHARE = 0.3  # of the task's loss beside the scores'
WARM_UP = 0.1  # share of the steps over which the rate rises
_BETA_1, _BETA_2 = 0.9, 0.99


@dataclass(frozen=True, slots=True)
class Reading:
    """What a network makes of Q prompts.

    Args:
        deviation: (Q, H) of the logit from the prior.
        doubt: (Q, H) its sd between members.
        task: (Q, G) shares.
        energy: (Q, 1) log of the summed evidence for all tasks: low for a prompt of none of them.
        hidden: (Q, E * N) units of all members.
    """

    deviation: Floats
    doubt: Floats
    task: Floats
    energy: Floats
    hidden: Floats


@dataclass(frozen=True, slots=True)
class Network:
    """E members, F inputs, N hidden units, H heads, G tasks.

    Args:
        entry, entry_bias: (E, F, N) and (E, 1, N).
        heads, heads_bias: (E, N, H) and (E, 1, H), what is common to all heads included.
        tasks, tasks_bias: (E, N, G) and (E, 1, G).
    """

    entry: Floats
    entry_bias: Floats
    heads: Floats
    heads_bias: Floats
    tasks: Floats
    tasks_bias: Floats
    _entry: Floats = field(init=False, repr=False)  # (F, E * N), all members side by side
    _entry_bias: Floats = field(init=False, repr=False)  # (E * N,)
    _out: Floats = field(init=False, repr=False)  # (E, N, H + G), heads and tasks side by side
    _out_bias: Floats = field(init=False, repr=False)  # (E, 1, H + G)
    _each: Floats = field(init=False, repr=False)  # (E,) 1/E: by a product a mean takes a third of the time of a sum

    def __post_init__(self) -> None:
        members, inputs, units = self.entry.shape
        entry = self.entry.transpose(1, 0, 2).reshape(inputs, members * units)
        object.__setattr__(self, "_entry", np.ascontiguousarray(entry))
        object.__setattr__(self, "_entry_bias", self.entry_bias.ravel())
        object.__setattr__(self, "_out", np.concatenate([self.heads, self.tasks], axis=2))
        object.__setattr__(self, "_out_bias", np.concatenate([self.heads_bias, self.tasks_bias], axis=2))
        object.__setattr__(self, "_each", np.full(members, 1 / members, np.float32))

    def __call__(self, inputs: Floats) -> Reading:
        """What the members make of (Q, F) inputs, on average."""
        members, units, heads = self.heads.shape
        hidden = inputs.dot(self._entry)
        hidden += self._entry_bias
        np.maximum(hidden, 0, out=hidden)
        out: Floats = np.matmul(hidden.reshape(len(inputs), members, units).transpose(1, 0, 2), self._out)
        out += self._out_bias
        share, energy = _shares(out[:, :, heads:])
        middle = self._mean(out)  # the tasks' too: a part alone would be copied first
        out -= middle
        return Reading(
            deviation=middle[:, :heads],
            doubt=np.sqrt(self._mean(np.square(out, out=out))[:, :heads]),
            task=self._mean(share),
            energy=self._mean(energy),
            hidden=hidden,
        )

    def _mean(self, members: Floats) -> Floats:
        """Over the first axis."""
        mean: Floats = self._each.dot(members.reshape(len(members), -1)).reshape(members.shape[1:])
        return mean


def fit_network(
    inputs: Floats,
    score: NDArray[np.float64],
    prior: Floats,
    task: NDArray[np.int64],
    tasks: int,
    *,
    seed: int,
    progress: Callable[[float], None] | None = None,
) -> Network:
    """Trains all members together.

    Args:
        inputs: (Q, F).
        score: (Q, H) 0..1, NaN where not known.
        prior: (H,) logit of each head's prior.
        task: (Q,) 0..G-1, negative where not known.
        tasks: G.
        seed: of the first weights, the order and what is dropped.
        progress: told the share done.
    """
    rng = np.random.default_rng(seed)
    weights = _first_weights(rng, inputs.shape[1], score.shape[1], tasks)
    optimiser = _Adam(weights, max(1, EPOCHS * -(-len(inputs) // BATCH)))
    known = ~np.isnan(score)
    target, mask = np.where(known, score, 0).astype(np.float32), known.astype(np.float32)
    label = np.zeros((len(inputs), tasks), np.float32)
    label[np.flatnonzero(task >= 0), task[task >= 0]] = 1
    for epoch in range(EPOCHS if len(inputs) else 0):
        order = np.stack([rng.permutation(len(inputs)) for _ in range(MEMBERS)])
        for start in range(0, len(inputs), BATCH):
            pick = order[:, start : start + BATCH]
            slopes = _slopes(
                weights,
                inputs=inputs[pick],
                target=target[pick],
                mask=mask[pick],
                label=label[pick],
                prior=prior,
                rng=rng,
            )
            optimiser.step(slopes)
        if progress is not None:
            progress((epoch + 1) / EPOCHS)
    for bias in ("", "_bias"):
        weights[f"heads{bias}"] += weights.pop(f"common{bias}")
    return Network(**weights)


def _first_weights(rng: np.random.Generator, inputs: int, heads: int, tasks: int) -> dict[str, Floats]:
    def normal(scale: float, rows: int, columns: int) -> Floats:
        return rng.standard_normal((MEMBERS, rows, columns), dtype=np.float32) * np.float32(scale)

    def zeros(columns: int, rows: int = 1) -> Floats:
        return np.zeros((MEMBERS, rows, columns), np.float32)

    return {
        "entry": normal(max(inputs, 1) ** -0.5, inputs, HIDDEN),
        "entry_bias": zeros(HIDDEN),
        "common": zeros(1, HIDDEN),  # of too few rows to learn from, the prior is left as it is
        "common_bias": zeros(1),
        "heads": zeros(heads, HIDDEN),
        "heads_bias": zeros(heads),
        "tasks": normal(0.3 * HIDDEN**-0.5, HIDDEN, tasks),
        "tasks_bias": zeros(tasks),
    }


def _slopes(
    weights: dict[str, Floats],
    *,
    inputs: Floats,
    target: Floats,
    mask: Floats,
    label: Floats,
    prior: Floats,
    rng: np.random.Generator,
) -> dict[str, Floats]:
    """Gradients of the mean loss of one batch per member, with dropout."""
    inputs = inputs * _kept(rng, inputs.shape, DROP_INPUT)
    before = inputs @ weights["entry"] + weights["entry_bias"]
    kept = _kept(rng, before.shape, DROP_HIDDEN) * (before > 0)
    hidden = before * kept
    logits = hidden @ (weights["common"] + weights["heads"]) + (weights["common_bias"] + weights["heads_bias"] + prior)
    known = mask.sum(axis=(1, 2), keepdims=True)
    miss = (sigmoid(logits) - target) * mask / np.maximum(known, 1)
    guess, _ = _shares(hidden @ weights["tasks"] + weights["tasks_bias"])
    labelled = label.sum(axis=2, keepdims=True)
    confusion = (guess * labelled - label) * np.float32(TASK_SHARE / max(1, inputs.shape[1]))
    across = hidden.transpose(0, 2, 1)
    shared = miss.sum(axis=2, keepdims=True)
    back = miss @ (weights["common"] + weights["heads"]).transpose(0, 2, 1)
    back = (back + confusion @ weights["tasks"].transpose(0, 2, 1)) * kept
    return {
        "entry": inputs.transpose(0, 2, 1) @ back,
        "entry_bias": back.sum(axis=1, keepdims=True),
        "common": across @ shared,
        "common_bias": shared.sum(axis=1, keepdims=True),
        "heads": across @ miss,
        "heads_bias": miss.sum(axis=1, keepdims=True),
        "tasks": across @ confusion,
        "tasks_bias": confusion.sum(axis=1, keepdims=True),
    }


class _Adam:
    """AdamW over named arrays, changed in place: the rate warms up, then falls as a cosine to 0."""

    def __init__(self, weights: dict[str, Floats], steps: int) -> None:
        self._weights, self._steps, self._done = weights, steps, 0
        self._mean = {name: np.zeros_like(value) for name, value in weights.items()}
        self._square = {name: np.zeros_like(value) for name, value in weights.items()}
        self._decay = {"entry": DECAY_INPUT, "common": DECAY_INPUT, "tasks": DECAY_INPUT, "heads": DECAY_HEAD}

    def step(self, slopes: dict[str, Floats]) -> None:
        self._done += 1
        share = self._done / self._steps
        rate = RATE * min(1.0, share / WARM_UP) * 0.5 * (1 + np.cos(np.pi * min(share, 1.0)))
        level_1, level_2 = 1 - _BETA_1**self._done, 1 - _BETA_2**self._done
        for name, slope in slopes.items():
            mean, square, value = self._mean[name], self._square[name], self._weights[name]
            mean += np.float32(1 - _BETA_1) * (slope - mean)
            square += np.float32(1 - _BETA_2) * (slope * slope - square)
            push = (mean / np.float32(level_1)) / (np.sqrt(square / np.float32(level_2)) + np.float32(1e-8))
            value *= np.float32(1 - rate * self._decay.get(name, 0.0))
            value -= np.float32(rate) * push


def _kept(rng: np.random.Generator, shape: tuple[int, ...], drop: float) -> Floats:
    """Inverted dropout: 0 or 1/(1 - drop). Bytes are random enough and four times as cheap."""
    draw = rng.integers(0, 256, shape, np.uint8)
    kept: Floats = (draw >= round(256 * drop)).astype(np.float32)
    kept *= np.float32(1 / (1 - drop))
    return kept


def _shares(logits: NDArray[np.floating]) -> tuple[Floats, Floats]:
    """Softmax over the last axis, and the logarithm of the sum of powers as one column."""
    if not logits.shape[-1]:
        return logits.astype(np.float32), np.zeros((*logits.shape[:-1], 1), np.float32)
    top = np.maximum.reduce(logits, axis=-1, keepdims=True)
    powers = logits - top
    np.exp(powers, out=powers)
    total = np.add.reduce(powers, axis=-1, keepdims=True)
    powers /= total
    top += np.log(total)
    return powers, top
