"""What a pool recorded, as answers: a question is looked up by its text, and its outcome comes back."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from predictors.prompt import render

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from predictors.base import Prompt
    from predictors.pool import Pool

CHARACTERS_PER_TOKEN = 4  # every word of SYLLABLES and its space: so a text's length states its tokens
TOKENS_UNKNOWN = 200  # a middling answer
SYLLABLES = (
    "lum tar vek oni sab rit mol pah zen gid fur cal nok est bim dro "
    "wix yal hep tus kor vin ema jot pil rus ohm dax quo fen lib sar "
)
SCROLL = SYLLABLES * 256  # 8,192 tokens at hand, so that an ordinary answer is one slice


class StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class Asked(msgspec.Struct):
    """The fields of a request's body that an answer depends on."""

    messages: Any = None  # chat completions
    prompt: Any = None  # completions
    input: Any = None  # responses and embeddings
    tools: Any = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    max_output_tokens: int | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    @property
    def limit(self) -> int | None:
        """Tokens that the client allows the answer to have."""
        limits = (self.max_completion_tokens, self.max_tokens, self.max_output_tokens)
        return next((limit for limit in limits if limit is not None), None)

    @property
    def conversation(self) -> Any:  # noqa: ANN401 - any JSON value may stand there
        """Messages, or whatever plays their part."""
        return next((each for each in (self.messages, self.prompt, self.input) if each is not None), "")


@dataclass(frozen=True, slots=True)
class Answer:
    """What one model says to one question."""

    text: str
    input_tokens: int
    output_tokens: int
    id: str  # the same question to the same model has the same, so that two runs are equal byte for byte
    finish: str = "stop"  # or "length"
    score: float | None = None  # recorded
    query_id: str | None = None  # None: the pool does not hold the question
    seconds: float | None = None  # recorded


class Answers(Protocol):
    """Says something to every question, known or not."""

    @property
    def models(self) -> tuple[str, ...]:
        """Who can be asked."""

    def answer(self, model: str, asked: Asked) -> Answer:
        """What the model says."""


class PoolAnswers:
    """Answers of a pool: made-up words of the recorded length, with the recorded score.

    `label` begins every text, with its model's name for `{model}`; it counts toward the length.
    `unknown` is the length, in tokens, where the pool records none.
    """

    def __init__(self, pool: Pool, *, label: str = "", unknown: int = TOKENS_UNKNOWN) -> None:
        self._pool = pool
        self._unknown = unknown
        self._labels = {name: label.format(model=name) for name in pool.models}
        self._columns = {name: column for column, name in enumerate(pool.models)}
        self._rows: dict[Prompt | str, int] = {}
        queries = pool.queries
        # The most telling key is found first; of rows that share a key the first one answers.
        for row, (prompt, messages, text) in enumerate(
            zip(queries.prompts, queries.messages, queries.texts, strict=True)
        ):
            for key in (prompt, prompt.text, last_user_text(messages), text.strip()):
                self._rows.setdefault(key, row)
        self._rows.pop("", None)  # an empty question is nobody's

    @property
    def models(self) -> tuple[str, ...]:
        return self._pool.models

    def answer(self, model: str, asked: Asked) -> Answer:
        prompt = render(asked.conversation, asked.tools)
        row = self._row(prompt, asked)
        column = self._columns[model]
        pool = self._pool
        recorded = None if row is None else _known(pool.output_tokens, row, column)
        wanted = self._unknown if recorded is None else max(1, round(recorded))
        tokens = wanted if asked.limit is None else min(wanted, asked.limit)
        known_input = None if row is None else _known(pool.input_tokens, row, column)
        seed = zlib.crc32(prompt.text.encode("utf-8", "surrogatepass"))
        return Answer(
            text=(self._labels[model] + words(tokens, seed))[: tokens * CHARACTERS_PER_TOKEN],
            input_tokens=estimated_tokens(prompt) if known_input is None else round(known_input),
            output_tokens=tokens,
            id=f"{seed:08x}{column:02x}",
            finish="length" if tokens < wanted else "stop",
            score=None if row is None else _known(pool.score, row, column),
            query_id=None if row is None else pool.queries.ids[row],
            seconds=None if row is None else _known(pool.latency, row, column),
        )

    def _row(self, prompt: Prompt, asked: Asked) -> int | None:
        for key in (prompt, prompt.text, last_user_text(asked.conversation)):
            row = self._rows.get(key)
            if row is not None:
                return row
        return self._rows.get(prompt.text.strip())


def last_user_text(messages: object) -> str:
    """The text of the last message that a user wrote; of a plain string, the string."""
    if isinstance(messages, list):
        for message in reversed(messages):
            if isinstance(message, dict) and message.get("role") == "user":
                return render([message]).text.strip()
        return ""
    return messages.strip() if isinstance(messages, str) else ""


def words(tokens: int, seed: int) -> str:
    """Made-up words, CHARACTERS_PER_TOKEN characters to each token; the seed says where they begin."""
    start = seed * CHARACTERS_PER_TOKEN % len(SYLLABLES)
    end = start + tokens * CHARACTERS_PER_TOKEN
    source = SCROLL if end <= len(SCROLL) else SYLLABLES * (end // len(SYLLABLES) + 1)
    return source[start:end]


def estimated_tokens(prompt: Prompt) -> int:
    """Input tokens of a prompt whose tokenizer is not known."""
    return max(1, math.ceil((len(prompt.text) + len(prompt.tools)) / CHARACTERS_PER_TOKEN))


def _known(matrix: NDArray[np.float64], row: int, column: int) -> float | None:
    value = float(matrix[row, column])
    return None if math.isnan(value) else value
