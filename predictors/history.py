"""The outcomes of several pools as one table, ready to be learned from.

A model keeps the name that each pool gives it. Names of different pools that mean one model share a head: what is
learned of it in one pool helps in the others, and ties the difficulties of the pools together.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from predictors.names import usual

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from predictors.base import Prompt
    from predictors.pool import Pool

    Doubles = NDArray[np.float64]
    Index = NDArray[np.int64]

NO_GROUP = -1


@dataclass(frozen=True, slots=True)
class History:
    """Q queries, M models by name, H heads.

    Args:
        prompts: Q of them.
        group: (Q,) int64, which of `groups`; NO_GROUP where the pool names none.
        groups: the pool's number and its own label, as "0/math".
        source: (Q,) int64, which pool.
        models: M names.
        head: (M,) int64, the head of each model, 0..H-1.
        score: (Q, M) float64, 0..1, NaN where not known.
        cost, input_tokens, output_tokens: (Q, M) float64, NaN where not recorded.
    """

    prompts: tuple[Prompt, ...]
    group: Index
    groups: tuple[str, ...]
    source: Index
    models: tuple[str, ...]
    head: Index
    score: Doubles
    cost: Doubles
    input_tokens: Doubles
    output_tokens: Doubles

    @property
    def heads(self) -> int:
        """H."""
        return int(self.head.max(initial=-1)) + 1

    def head_score(self) -> Doubles:
        """(Q, H) score by head, NaN where no model of the head answered."""
        known = ~np.isnan(self.score)
        member = (self.head[:, None] == np.arange(self.heads)).astype(np.float64)
        count = known @ member
        total = np.where(known, self.score, 0) @ member
        mean: Doubles = np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)
        return mean

    def rows(self, index: Index) -> History:
        """Those queries alone; models, heads and groups keep their places."""
        return History(
            prompts=tuple(self.prompts[row] for row in index),
            group=self.group[index],
            groups=self.groups,
            source=self.source[index],
            models=self.models,
            head=self.head,
            score=self.score[index],
            cost=self.cost[index],
            input_tokens=self.input_tokens[index],
            output_tokens=self.output_tokens[index],
        )


def join(pools: Sequence[Pool]) -> History:
    """One table of all pools, in order. A score that is not finite counts as not known, a cost below 0 likewise."""
    models = tuple(dict.fromkeys(model for pool in pools for model in pool.models))
    place = {model: column for column, model in enumerate(models)}
    labels = [f"{number}/{label}" if label else "" for number, pool in enumerate(pools) for label in pool.groups]
    groups = tuple(sorted(set(labels) - {""}))
    number = {label: index for index, label in enumerate(groups)} | {"": NO_GROUP}
    sizes = [len(pool.queries.ids) for pool in pools]

    def spread(pick: str) -> Doubles:
        table = np.full((sum(sizes), len(models)), np.nan)
        start = 0
        for pool, size in zip(pools, sizes, strict=True):
            values = getattr(pool, pick)
            table[start : start + size, [place[model] for model in pool.models]] = values
            start += size
        table[~np.isfinite(table) | (table < 0)] = np.nan
        return table

    return History(
        prompts=tuple(prompt for pool in pools for prompt in pool.queries.prompts),
        group=np.array([number[label] for label in labels], np.int64),
        groups=groups,
        source=np.repeat(np.arange(len(pools)), sizes),
        models=models,
        head=_heads(pools, models),
        score=spread("score"),
        cost=spread("cost"),
        input_tokens=spread("input_tokens"),
        output_tokens=spread("output_tokens"),
    )


def _heads(pools: Sequence[Pool], models: Sequence[str]) -> Index:
    """Names with one usual form share a head, unless one pool tells them apart."""
    clashes = {
        form for pool in pools for form, times in Counter(usual(model) for model in pool.models).items() if times > 1
    }
    keys = [usual(model) if usual(model) not in clashes else model for model in models]
    order = {key: index for index, key in enumerate(dict.fromkeys(keys))}
    return np.array([order[key] for key in keys], np.int64)
