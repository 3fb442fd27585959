"""Hard filters, and the words of their refusals."""

from __future__ import annotations

import pytest

from gateway.core.filters import admissible
from gateway.domain import Capability
from gateway.errors import ContextLengthError, GatewayError, InvalidRequestError, NoCapableModelError, UnknownModelError
from tests.core.fleets import fleet

FLEET = fleet()


def admitted(
    target: str = "auto",
    *,
    globs: tuple[str, ...] = (),
    needs: frozenset[Capability] = frozenset(),
    tokens: float = 10,
    max_tokens: int | None = None,
) -> tuple[str, ...]:
    return admissible(
        FLEET,
        target,
        globs=globs,
        needs=needs,
        characters=round(4 * tokens),
        characters_per_token=[4.0] * 4,
        max_tokens=max_tokens,
    )


def test_a_route_admits_its_served_models() -> None:
    assert admitted() == ("cheap", "dear", "seeing")


def test_a_model_admits_itself() -> None:
    assert admitted("dear") == ("dear",)


def test_globs_narrow_it() -> None:
    assert admitted(globs=("*ea*",)) == ("cheap", "dear")


def test_needs_narrow_it() -> None:
    assert admitted(needs=frozenset({Capability.VISION})) == ("seeing",)


def test_context_narrows_it_and_counts_the_answer() -> None:
    assert admitted(tokens=990) == ("cheap", "dear", "seeing")
    assert admitted(tokens=990, max_tokens=11) == ("dear", "seeing")


@pytest.mark.parametrize(
    ("kind", "arguments", "words"),
    [
        (UnknownModelError, {"target": "chep"}, "the nearest: cheap"),
        (UnknownModelError, {"target": "unserved"}, "no route or model is named 'unserved'"),
        (InvalidRequestError, {"globs": ("nobody*",)}, "matches none of the models of auto: cheap, dear, seeing"),
        (
            NoCapableModelError,
            {"target": "text", "needs": frozenset({Capability.VISION})},
            "cheap lacks vision; dear lacks vision",
        ),
        (ContextLengthError, {"target": "text", "tokens": 9000}, "cheap: about 9000 tokens, takes 1000"),
    ],
)
def test_refusals_say_why(kind: type[GatewayError], arguments: dict[str, object], words: str) -> None:
    with pytest.raises(kind) as caught:
        admitted(**arguments)  # type: ignore[arg-type]
    assert words in caught.value.message
