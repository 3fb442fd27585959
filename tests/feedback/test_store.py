"""The log on real databases: what is written comes back, scores are joined once, and old rows leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from gateway.core.story import written
from gateway.errors import ConfigurationError, LogUnavailableError
from gateway.feedback.row import Ended, Kept, Mark, Scored, row
from gateway.feedback.store import Store
from tests.feedback.decisions import FLEET, MESSAGES, settled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gateway.feedback.row import Row


@pytest.fixture
def store(log_url: str) -> Iterator[Store]:
    made = Store(log_url)
    yield made
    made.close()


def rows(*ids: str, at: float = 100.0, prompts: bool = False) -> list[Row]:
    return [row(Ended(settled(each), settled(each).query, FLEET, at), score=None, prompts=prompts) for each in ids]


def mark(decision_id: str, score: float) -> Mark:
    return Mark(decision_id, score, "well done", 200.0)


def ids(store: Store) -> list[str]:
    return [each["id"] for each in store.rows()]


def test_a_decision_comes_back(store: Store) -> None:
    store.insert(rows("dec_1", "dec_2"))
    assert store.story("dec_2") == Kept("team", written(settled("dec_2"), FLEET))
    assert store.scored("dec_1") == Scored("team", "auto", "org/large", 0.7, 0.75)
    assert store.story("dec_3") is None
    assert store.scored("dec_3") is None
    assert store.count() == 2


def test_prompts_are_kept_only_where_that_is_asked_for(store: Store) -> None:
    store.insert(rows("dec_1"))
    store.insert(rows("dec_2", prompts=True))
    bare, whole = store.rows()
    assert (bare["messages"], whole["messages"]) == (None, MESSAGES.decode())
    assert bare["prompt_hash"] == whole["prompt_hash"]
    assert "gr\u00fc\u00dfe" not in str(bare)


def test_the_first_score_stays(store: Store) -> None:
    store.insert(rows("dec_1"))
    assert store.mark(mark("dec_1", 0.0)) is None
    assert store.mark(mark("dec_1", 0.0)) == 0.0
    assert store.mark(mark("dec_1", 1.0)) == 0.0
    assert store.mark(mark("dec_9", 1.0)) is None  # not kept: nothing is there to contradict
    (kept,) = store.rows()
    assert (kept["score"], kept["scored_at"], kept["comment"]) == (0.0, 200.0, "well done")


def test_two_programs_share_a_log(store: Store, log_url: str) -> None:
    other = Store(log_url)
    store.insert(rows("dec_1"))
    other.insert(rows("dec_2"))
    assert store.mark(mark("dec_2", 1.0)) is None
    assert other.mark(mark("dec_2", 0.5)) == 1.0
    assert ids(store) == ids(other) == ["dec_1", "dec_2"]
    other.close()


def test_old_decisions_and_those_beyond_the_most_are_forgotten(store: Store) -> None:
    store.insert(rows("dec_1", at=10.0))
    store.insert(rows("dec_2", "dec_3", "dec_4", at=20.0))
    store.prune(before=15.0, most=100)
    assert ids(store) == ["dec_2", "dec_3", "dec_4"]
    store.prune(before=15.0, most=2)
    assert ids(store) == ["dec_3", "dec_4"]


def test_a_batch_is_written_whole_or_not_at_all(store: Store) -> None:
    store.insert(rows("dec_1"))
    with pytest.raises(LogUnavailableError):
        store.insert(rows("dec_2", "dec_1"))
    assert ids(store) == ["dec_1"]


def test_tables_of_another_version_are_refused_with_the_mend(store: Store, log_url: str) -> None:
    store.insert(rows("dec_1"))
    engine = sa.create_engine(log_url)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE paretogate_schema SET version = version + 1"))
    engine.dispose()
    later = Store(log_url)
    with pytest.raises(LogUnavailableError, match=r"version 2.*log\.url"):
        later.count()
    later.close()


def test_a_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "log.sqlite"
    store = Store(f"sqlite:///{path}")
    assert store.count() == 0
    assert path.stat().st_mode & 0o777 == 0o600
    store.close()


def test_reading_makes_no_file(tmp_path: Path) -> None:
    path = tmp_path / "log.sqlite"
    store = Store(f"sqlite:///{path}", create=False)
    with pytest.raises(LogUnavailableError, match=r"log\.sqlite"):
        store.count()
    assert not path.exists()


@pytest.mark.parametrize("url", ["nonsense", "oracle9://host/name", "mysql+nodriver://host/name"])
def test_a_url_that_cannot_be_used_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^log\.url: "):
        Store(url)


def test_a_password_is_never_said() -> None:
    store = Store("postgresql+psycopg://me:hush-hush@127.0.0.1:1/none")
    with pytest.raises(LogUnavailableError) as raised:
        store.count()
    assert "hush" not in raised.value.message + store.name + repr(store)
    store.close()
