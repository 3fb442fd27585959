"""Hard filters: who may answer at all. They come before scores, and their refusals say why, model by model."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from gateway.core.fleet import Fleet, matching
from gateway.core.keyring import may_answer, may_name
from gateway.domain import ANYONE
from gateway.errors import (
    ContextLengthError,
    InvalidRequestError,
    NoCapableModelError,
    PermissionDeniedError,
    UnknownModelError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.domain import Capability, Key


def admissible(
    fleet: Fleet,
    target: str,
    *,
    globs: Sequence[str],
    needs: frozenset[Capability],
    characters: int,
    characters_per_token: Sequence[float],
    max_tokens: int | None,
    key: Key = ANYONE,
) -> tuple[str, ...]:
    """The models that may answer, in configuration order; never empty.

    Args:
        fleet: what is configured.
        target: the route or model that the client named.
        globs: the client's own allow list; empty allows all.
        needs: what the query asks of a model.
        characters: of the query.
        characters_per_token: (M,) by which they are counted as each model's tokens.
        max_tokens: longest answer that the client asked for, counted into the context.
        key: of the caller.

    Raises:
        UnknownModelError: nothing has that name.
        PermissionDeniedError: the key may not use it.
        InvalidRequestError: the allow list leaves nobody.
        NoCapableModelError: nobody who is allowed can do it.
        ContextLengthError: it is too long for all of them.
    """
    named = _named(fleet, target, key)
    allowed = matching(named, globs) if globs else named
    if not allowed:
        message = f"routing.models: {list(globs)} matches none of the models of {target}: {', '.join(named)}"
        raise InvalidRequestError(message, param="routing.models")
    capable = allowed if not needs else _capable(fleet, allowed, needs)
    columns, answer = fleet.columns_of(capable).tolist(), max_tokens or 0
    room = [characters / characters_per_token[column] + answer <= fleet.context[column] for column in columns]
    if all(room):
        return capable
    if not any(room):
        lengths = [characters / characters_per_token[column] for column in columns]
        raise ContextLengthError(_too_long(fleet, capable, lengths, max_tokens), param="messages")
    return tuple(name for name, fits in zip(capable, room, strict=True) if fits)


def _named(fleet: Fleet, target: str, key: Key) -> tuple[str, ...]:
    """The served models behind a name, as far as the key may use them.

    Raises:
        UnknownModelError: nothing has that name.
        PermissionDeniedError: the key may not use it.
    """
    named = fleet.candidates(target)
    if not named:
        raise UnknownModelError(unknown_name(fleet, target, key), param="model")
    if key is ANYONE:
        return named
    if not may_name(key, fleet, target):
        raise not_allowed(key, target)
    return may_answer(key, named)


def not_allowed(key: Key, target: str) -> PermissionDeniedError:
    return PermissionDeniedError(f"the key {key.name!r} may not use {target}", param="model")


def _capable(fleet: Fleet, allowed: Sequence[str], needs: frozenset[Capability]) -> tuple[str, ...]:
    lacking = {name: sorted(needs - fleet.models[fleet.model_index[name]].can) for name in allowed}
    capable = tuple(name for name in allowed if not lacking[name])
    if not capable:
        reasons = "; ".join(f"{name} lacks {', '.join(missing)}" for name, missing in lacking.items())
        raise NoCapableModelError(f"no allowed model can do this: {reasons}")
    return capable


def unknown_name(fleet: Fleet, target: str, key: Key = ANYONE) -> str:
    known = [*fleet.routes, *(model.name for model in fleet.models if model.name in fleet.served)]
    known = [name for name in known if may_name(key, fleet, name)]
    near = get_close_matches(target, known, n=3, cutoff=0.4)
    if near:
        return f"no route or model is named {target[:100]!r}; the nearest: {', '.join(near)}"
    return f"no route or model is named {target[:100]!r}; GET /v1/models lists them"


def _too_long(fleet: Fleet, names: Sequence[str], tokens: Sequence[float], max_tokens: int | None) -> str:
    lengths = "; ".join(
        f"{name}: about {length:.0f} tokens, takes {fleet.context[fleet.model_index[name]]:.0f}"
        for name, length in zip(names, tokens, strict=True)
    )
    asked = f" with {max_tokens} for the answer" if max_tokens else ""
    return f"too long for every allowed model{asked} ({lengths})"
