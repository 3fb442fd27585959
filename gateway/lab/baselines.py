"""The published field, to compare with: what plain predictors make of the same training queries.

Texts become TF-IDF of words and word pairs; on these rest a logistic regression per model, neighbours shrunk to the
model's mean, the mean score of the group that a text seems to be of, and their blend. Fractions count as soft labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.feature_extraction.text import TfidfVectorizer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gateway.lab.frontier import Floats

NEIGHBOURS = 64
PRIOR = 32.0  # pseudo-observations at the model's mean
FEW_NEIGHBOURS = 16  # of the papers' plug-in rule, without a prior
WORD = r"(?u)\b\w+\b|[^\w\s]"  # punctuation too: it tells mathematics and code from prose
FEATURES = 50_000
RIDGE = 1.0  # of 0.3, 1, 3 and 10 the one with the best AIQ over our four wide pools
GROUP_RIDGE = 1 / 3
GROUP_PRIOR = 5.0
ITERATIONS = 60

KNN = "knn64"
LOGISTIC = "logistic"
PAIR = "blend2"
BLEND = "blend"
PLAIN_KNN = "knn16"
CONSTANT = "constant"
LABELS = {
    CONSTANT: "static mix of models",
    PLAIN_KNN: "kNN-16",
    KNN: "kNN-64 with prior",
    LOGISTIC: "TF-IDF logistic",
    PAIR: "kNN + logistic",
    BLEND: "blend with groups",
}
RIVALS = (KNN, LOGISTIC, PAIR, BLEND)  # what our own predictor is measured against


@dataclass(frozen=True, slots=True)
class Labelled:
    """Training queries as a baseline sees them: (T,) texts and groups, (T, M) scores with NaN where not known."""

    texts: Sequence[str]
    groups: Sequence[str]
    score: Floats


def predict_baselines(train: Labelled, texts: Sequence[str]) -> Mapping[str, Floats]:
    """(Q, M) predicted quality of each baseline, by name."""
    mean = means(train.score)
    flat = np.repeat(mean[None], len(texts), axis=0)
    known, asked = _features(train.texts, texts)
    logistic = _Logistic.fit(known, train.score, RIDGE).predict(asked)
    near = np.asarray((asked @ known.T).todense())
    knn = neighbours(near, train.score, NEIGHBOURS, PRIOR)
    by_group = _by_group(train, known, asked)
    return {
        CONSTANT: flat,
        PLAIN_KNN: neighbours(near, train.score, FEW_NEIGHBOURS, 0.0),
        KNN: knn,
        LOGISTIC: logistic,
        PAIR: (knn + logistic) / 2,
        BLEND: (knn + logistic + by_group) / 3,
    }


def means(values: Floats) -> Floats:
    """(M,) mean of what is known of each column; the mean of all where nothing is, 0 where nothing is at all."""
    known = np.isfinite(values)
    overall = float(values[known].mean()) if known.any() else 0.0
    total = np.where(known, values, 0.0).sum(axis=0)
    count = known.sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), overall)


def neighbours(near: Floats, score: Floats, count: int, prior: float) -> Floats:
    """(Q, M) mean score of the `count` nearest training queries, with `prior` pseudo-observations at the model's mean.

    Args:
        near: (Q, T) similarity.
        score: (T, M), NaN where not known.
        count: neighbours asked; all of them where there are fewer.
        prior: weight of the mean; where no neighbour has a label the mean stands alone.
    """
    count = min(count, near.shape[1])
    nearest = np.argpartition(-near, count - 1, axis=1)[:, :count]
    found = score[nearest]
    labelled = np.isfinite(found)
    mean = means(score)
    weight = labelled.sum(axis=1) + prior
    total = np.where(labelled, found, 0.0).sum(axis=1) + prior * mean
    return np.where(weight > 0, total / np.maximum(weight, 1e-9), mean)


def _features(train: Sequence[str], texts: Sequence[str]) -> tuple[Any, Any]:
    """Sparse (T, D) and (Q, D) unit rows."""
    vectors = TfidfVectorizer(
        ngram_range=(1, 2), min_df=2, sublinear_tf=True, max_features=FEATURES, token_pattern=WORD, dtype=np.float32
    )
    try:
        known = vectors.fit_transform(train)
    except ValueError:  # scikit-learn's word for "no term stands in two texts"
        vectors = TfidfVectorizer(analyzer="char", dtype=np.float32)
        known = vectors.fit_transform([text or " " for text in train])
    return known.tocsr(), vectors.transform(texts).tocsr()


def _by_group(train: Labelled, known: Any, asked: Any) -> Floats:  # noqa: ANN401 - scipy's sparse types are not exported
    """(Q, M) mean scores of the groups, weighted by how likely each text is of each."""
    names, which = np.unique(np.array(train.groups), return_inverse=True)
    member = np.eye(len(names))[which]
    mean = means(train.score)
    labelled = np.isfinite(train.score)
    total = member.T @ np.where(labelled, train.score, 0.0) + GROUP_PRIOR * mean
    group_mean = total / (member.T @ labelled + GROUP_PRIOR)
    if len(names) == 1:
        return np.repeat(group_mean, asked.shape[0], axis=0)
    likely = _Logistic.fit(known, member, GROUP_RIDGE).predict(asked)
    return np.asarray(likely / likely.sum(axis=1, keepdims=True) @ group_mean)


@dataclass(frozen=True, slots=True)
class _Logistic:
    """One logistic regression per column of labels, all fitted at once."""

    weight: Floats  # (D + 1, M), the bias last

    @classmethod
    def fit(cls, features: Any, label: Floats, ridge: float) -> _Logistic:  # noqa: ANN401 - as above
        known = np.isfinite(label)
        wanted = np.where(known, label, 0.0)
        rows, columns = features.shape[1], label.shape[1]
        back = features.T.tocsr()

        def loss(flat: Floats) -> tuple[float, Floats]:
            weight = flat.reshape(rows + 1, columns)
            logit = features @ weight[:-1].astype(np.float32) + weight[-1]
            error = known * (expit(logit) - wanted)
            slope = np.vstack([back @ error.astype(np.float32) + ridge * weight[:-1], error.sum(axis=0)])
            value = (known * (np.logaddexp(0, logit) - wanted * logit)).sum() + ridge / 2 * (weight[:-1] ** 2).sum()
            return float(value), slope.ravel()

        start = np.zeros((rows + 1, columns))
        start[-1] = np.log((wanted.sum(axis=0) + 1) / ((known - wanted).clip(0).sum(axis=0) + 1))
        best = minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS, "maxcor": 6})
        return cls(best.x.reshape(rows + 1, columns))

    def predict(self, features: Any) -> Floats:  # noqa: ANN401 - as above
        return np.asarray(expit(features @ self.weight[:-1] + self.weight[-1]))
