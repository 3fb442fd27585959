"""In the environment that has torch: makes a tiny encoder, tunes it, and tells what came of it, as JSON.

Run as a program, for the tests' own environment has no torch: `python tiny_minilm.py FOLDER`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import Pooling, Transformer
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from predictors.artifact import ArtifactError, load, save
from predictors.base import Prompt
from predictors.encoder import EncoderError
from predictors.finetune import tune
from predictors.finetune_train import halves, train_tuned
from predictors.hashes import text_hashes
from predictors.history import join
from predictors.minilm import SentenceEmbedder
from tests.predictors.outcomes import texts, two_kinds

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]


def tiny(folder: Path) -> Path:
    """Two layers of 32, at random, with a vocabulary of the words that are asked about."""
    words = sorted({word.strip("?.") for text in texts(400) for word in text.split()})
    vocabulary = {word: place for place, word in enumerate([*SPECIAL, "?", ".", *words])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = BertPreTokenizer()
    ends = [(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    plain = folder / "plain"
    BertModel(config).save_pretrained(plain)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=64, **names).save_pretrained(plain)
    whole = SentenceTransformer(modules=[Transformer(str(plain)), Pooling(32)], device="cpu")
    whole.save(str(folder / "tiny"), create_model_card=False)
    return folder / "tiny"


def main(folder: Path) -> None:
    begin = tiny(folder)
    told: dict[str, object] = {}
    before = SentenceEmbedder(str(begin))
    odd = ["", "\ud800", "\x00\xff", "x" * 100_000, "東京"]
    told["odd"] = np.linalg.norm(before.embed(odd), axis=1).tolist()
    told["none"] = before.embed([]).shape

    pool = two_kinds(160)
    tuned = tune(join([pool]), str(begin), folder / "tuned", epochs=3)
    told["losses"], told["best"], told["device"] = tuned.losses, tuned.best, tuned.device
    told["files"] = sorted(path.name for path in (folder / "tuned").iterdir())
    after = SentenceEmbedder(str(folder / "tuned"))
    told["moved"] = float(np.abs(after.embed(texts(4)) - before.embed(texts(4))).max())
    try:
        after.expect(before.fingerprint())
    except EncoderError as error:
        told["refused"] = str(error)

    made = train_tuned([pool], folder / "artifact", begin=str(begin), epochs=1)
    save(made, folder / "artifact")
    moved = (folder / "artifact").rename(folder / "moved")
    loaded = load(moved)
    asked = [Prompt("What is 91 plus 3?"), Prompt("Write a short poem about the colour of the sea number 4 near 28.")]
    told["quality"] = loaded.predictor.predict(asked).quality[:, 0].tolist()
    told["same"] = bool(np.allclose(loaded.predictor.predict(asked).quality, made.predictor.predict(asked).quality))
    told["manifest"] = json.loads((moved / "manifest.json").read_text())
    rest, all_texts = halves(pool, first=False), text_hashes(pool.queries.prompts)
    told["held_out"] = [len(loaded.held_out.weight), len(rest.queries.ids)]
    told["hashes"] = bool(np.array_equal(loaded.text_hashes, np.unique(all_texts)))
    try:
        load(moved, str(begin))
    except ArtifactError as error:
        told["other"] = str(error)
    print(json.dumps(told))  # noqa: T201 - this is what it is for


if __name__ == "__main__":
    main(Path(sys.argv[1]))
