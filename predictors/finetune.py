"""Fine-tuning a sentence encoder on outcomes: one head for the quality of every model, one for its output tokens.

The heads are thrown away afterwards: what is kept is an encoder whose vectors lie together where models do alike.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

from predictors.embedded import ends
from predictors.encoder import EncoderError
from predictors.hashes import text_hashes
from predictors.minilm import CHARACTERS
from predictors.weights import torch_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from predictors.history import History

EPOCHS, PATIENCE = 6, 2  # at most; epochs without a better validation loss before it ends
BATCH = 32
RATE, HEAD_RATE = 2e-5, 1e-3  # the encoder was trained long before, the heads begin anew
DECAY = 0.01
WARM_UP = 0.1  # share of the steps over which the rates rise; then they fall to 0
TOKEN_SHARE = 0.1  # of the length's loss beside the quality's
VALIDATION = 10  # every tenth text tells when to stop
LARGEST = 1.0  # norm of a step's gradient


@dataclass(frozen=True, slots=True)
class Tuned:
    """How it went.

    Args:
        losses: (E,) validation loss after each epoch; the first is that before any.
        best: which of them was kept.
        device: cuda or cpu.
    """

    losses: tuple[float, ...]
    best: int
    device: str


@dataclass(frozen=True, slots=True)
class _Labels:
    """(Q, M) tensors: targets, and where they are known."""

    score: Any
    scored: Any
    length: Any
    counted: Any


def tune(
    history: History,
    place: str,
    target: Path,
    *,
    seed: int = 0,
    epochs: int = EPOCHS,
    progress: Callable[[float], None] | None = None,
) -> Tuned:
    """Fine-tunes on every row and writes the best encoder to a folder that the engine `minilm` reads.

    Args:
        history: Q prompts, M models.
        place: the folder of the encoder to begin with; "" for the installed one.
        target: written as sentence-transformers does, weights as safetensors.
        seed: of the order, the heads and what is dropped.
        epochs: at most.
        progress: told the share done.

    Raises:
        EncoderError: torch, sentence-transformers or the folder is missing.
    """
    folder = torch_folder("minilm", place)
    try:
        import torch  # noqa: PLC0415 - serving does without
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - as above
    except ImportError as error:
        raise EncoderError(f"fine-tuning: {error}; pip install 'paretogate[train]'") from error
    torch.manual_seed(seed)
    model = SentenceTransformer(str(folder), local_files_only=True)
    study = _Study(torch, model, history, seed)
    losses, best = [study.validate()], 0
    kept = study.state()
    for epoch in range(epochs):
        study.learn(epoch, epochs)
        losses.append(study.validate())
        if losses[-1] < losses[best]:
            best, kept = len(losses) - 1, study.state()
        if progress is not None:
            progress((epoch + 1) / epochs)
        if len(losses) - 1 - best >= PATIENCE:
            break
    model.load_state_dict(kept)
    target.mkdir(parents=True, exist_ok=True)
    model.save(str(target), create_model_card=False)
    return Tuned(tuple(losses), best, str(model.device.type))


class _Study:
    """The model, its heads, and the rows to learn from and to judge by."""

    def __init__(self, torch: Any, model: Any, history: History, seed: int) -> None:  # noqa: ANN401 - torch ships no types here
        self._torch, self._model = torch, model
        self._texts = [ends(prompt.text, CHARACTERS).encode("utf-8", "replace").decode() for prompt in history.prompts]
        held = text_hashes(history.prompts) % VALIDATION == 0
        if held.all() or not held.any():  # too few texts to hold any back: all do both
            held = np.zeros(len(held), bool)
        self._learn = np.flatnonzero(~held)
        self._judge = np.flatnonzero(held) if held.any() else self._learn
        self._labels = self._tensors(history)
        self._heads = torch.nn.Linear(model.get_embedding_dimension(), 2 * len(history.models)).to(model.device)
        with torch.no_grad():
            self._heads.weight.mul_(0.1)
            self._heads.bias.copy_(torch.cat([_start(torch, self._labels), torch.zeros(len(history.models))]))
        self._optimiser = torch.optim.AdamW(
            [{"params": model.parameters(), "lr": RATE}, {"params": self._heads.parameters(), "lr": HEAD_RATE}],
            weight_decay=DECAY,
        )
        self._rates = [group["lr"] for group in self._optimiser.param_groups]
        self._order = random.Random(seed)
        self._cuda = model.device.type == "cuda"

    def learn(self, epoch: int, epochs: int) -> None:
        """One pass over the rows, in a new order."""
        rows = self._learn.tolist()
        self._order.shuffle(rows)
        steps = ceil(len(rows) / BATCH)
        self._model.train()
        for step in range(steps):
            self._pace((epoch * steps + step + 1) / (epochs * steps))
            self._optimiser.zero_grad()
            self._loss(rows[step * BATCH : (step + 1) * BATCH]).backward()
            self._torch.nn.utils.clip_grad_norm_(self._model.parameters(), LARGEST)
            self._optimiser.step()

    def validate(self) -> float:
        """The mean loss of the rows held back."""
        self._model.eval()
        total = 0.0
        with self._torch.no_grad():
            for start in range(0, len(self._judge), BATCH):
                rows = self._judge[start : start + BATCH].tolist()
                total += float(self._loss(rows)) * len(rows)
        return total / max(1, len(self._judge))

    def state(self) -> dict[str, Any]:
        return {name: tensor.detach().cpu().clone() for name, tensor in self._model.state_dict().items()}

    def _loss(self, rows: list[int]) -> Any:  # noqa: ANN401 - a tensor
        torch, device = self._torch, self._model.device
        given = self._model.preprocess([self._texts[row] for row in rows])
        given = {name: each.to(device) if hasattr(each, "to") else each for name, each in given.items()}
        # bfloat16 needs no scaling of the loss; on a CPU it would be slower
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=self._cuda):
            told = self._heads(self._model(given)["sentence_embedding"]).float()
        quality, length = told.chunk(2, dim=1)
        score, scored, wanted, counted = (
            table[rows].to(device)
            for table in (self._labels.score, self._labels.scored, self._labels.length, self._labels.counted)
        )
        functional = torch.nn.functional
        wrong = functional.binary_cross_entropy_with_logits(quality, score, scored, reduction="sum")
        off = (functional.smooth_l1_loss(length, wanted, reduction="none") * counted).sum()
        return wrong / scored.sum().clamp(min=1) + TOKEN_SHARE * off / counted.sum().clamp(min=1)

    def _pace(self, share: float) -> None:
        factor = min(share / WARM_UP, (1 - share) / (1 - WARM_UP))
        for group, rate in zip(self._optimiser.param_groups, self._rates, strict=True):
            group["lr"] = rate * max(factor, 0.0)

    def _tensors(self, history: History) -> _Labels:
        """Lengths as logarithms, each model's standardised."""
        known = np.isfinite(history.output_tokens)
        logs = np.log1p(np.where(known, history.output_tokens, 0))
        count = np.maximum(known.sum(axis=0), 1)
        middle = np.where(known, logs, 0).sum(axis=0) / count
        spread = np.sqrt(np.where(known, (logs - middle) ** 2, 0).sum(axis=0) / count)
        length = np.where(known, (logs - middle) / np.maximum(spread, 1e-3), 0)
        scored = np.isfinite(history.score)
        return _Labels(
            score=self._tensor(np.where(scored, history.score, 0)),
            scored=self._tensor(scored),
            length=self._tensor(length),
            counted=self._tensor(known),
        )

    def _tensor(self, table: NDArray[Any]) -> Any:  # noqa: ANN401 - a tensor
        return self._torch.from_numpy(table.astype(np.float32))


def _start(torch: Any, labels: _Labels) -> Any:  # noqa: ANN401 - tensors
    """(M,) logits of the models' mean scores, so that the heads begin where a constant ends."""
    mean = ((labels.score * labels.scored).sum(0) + 1) / (labels.scored.sum(0) + 2)
    return torch.logit(mean)
