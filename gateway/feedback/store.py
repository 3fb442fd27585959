"""The log in a database: one table of decisions with their scores. The only module that knows SQLAlchemy."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from gateway.errors import ConfigurationError, LogUnavailableError
from gateway.feedback.row import Kept, Scored

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy.engine import URL, Connection, Engine

    from gateway.feedback.row import Mark, Row

SCHEMA: Final = 1
AT_ONCE: Final = 1_000  # rows fetched together by who reads all of them
# A database that is away must not hold the writer's thread for longer than this.
POSTGRES: Final = {
    "connect_timeout": 5,
    "options": "-c statement_timeout=10000 -c lock_timeout=5000",
    "tcp_user_timeout": 10_000,
}

_META: Final = sa.MetaData()
_SCHEMA: Final = sa.Table("paretogate_schema", _META, sa.Column("version", sa.Integer, primary_key=True))
_DECISIONS: Final = sa.Table(
    "paretogate_decisions",
    _META,
    sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(64), nullable=False, unique=True),
    sa.Column("at", sa.Double, nullable=False, index=True),  # seconds since the epoch
    sa.Column("key", sa.Text, nullable=False),  # the name of the caller's key; empty where there are none
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("endpoint", sa.Text, nullable=False),
    sa.Column("outcome", sa.String(32), nullable=False),
    sa.Column("estimated_quality", sa.Double),
    sa.Column("predicted_quality", sa.Double, nullable=False),
    sa.Column("predicted_cost_usd", sa.Double, nullable=False),
    sa.Column("cost_usd", sa.Double),
    sa.Column("input_tokens", sa.BigInteger),
    sa.Column("output_tokens", sa.BigInteger),
    sa.Column("total_s", sa.Double),
    sa.Column("prompt_hash", sa.String(64), nullable=False),
    sa.Column("messages", sa.Text),  # JSON; null unless prompts are kept
    sa.Column("tools", sa.Text),
    sa.Column("story", sa.Text, nullable=False),  # core/story.py
    sa.Column("score", sa.Double),
    sa.Column("scored_at", sa.Double),
    sa.Column("comment", sa.Text),
)


class Store:
    """A log in a database. Every call may block, so it is made on the writer's thread, or by a program of its own.

    Raises:
        ConfigurationError: on making it: the URL is none, or its driver is not installed.
        LogUnavailableError: on any call: the database did not do it.
    """

    def __init__(self, url: str, *, create: bool = True) -> None:
        try:
            parsed = make_url(url)
            arguments = POSTGRES if parsed.get_backend_name() == "postgresql" else {}
            self._engine: Engine = sa.create_engine(parsed, pool_pre_ping=True, connect_args=dict(arguments))
        except (ArgumentError, NoSuchModuleError, ImportError) as error:
            raise ConfigurationError(f"log.url: {_mend(error)}") from error
        self._url: URL = parsed
        self._create = create  # a SQLite file that is not there
        self._ready = False
        if parsed.get_backend_name() == "sqlite":
            sa.event.listen(self._engine, "connect", _pragmas)

    @property
    def name(self) -> str:
        """The URL without its password."""
        return self._url.render_as_string(hide_password=True)

    def insert(self, rows: Sequence[Row]) -> None:
        """Adds settled decisions, all or none."""
        with self._connection() as connection:
            connection.execute(_DECISIONS.insert(), rows)

    def mark(self, mark: Mark) -> float | None:
        """Joins a score, unless there is one: then that one, which stays. None also where the decision is not kept."""
        with self._connection() as connection:
            mine = _DECISIONS.update().where(_DECISIONS.c.id == mark.decision_id, _DECISIONS.c.score.is_(None))
            done = connection.execute(mine.values(score=mark.score, comment=mark.comment, scored_at=mark.at))
            if done.rowcount:
                return None
            return connection.execute(
                sa.select(_DECISIONS.c.score).where(_DECISIONS.c.id == mark.decision_id)
            ).scalar_one_or_none()

    def story(self, decision_id: str) -> Kept | None:
        """One decision."""
        columns = _DECISIONS.c.key, _DECISIONS.c.story
        with self._connection() as connection:
            found = connection.execute(sa.select(*columns).where(_DECISIONS.c.id == decision_id)).first()
        return None if found is None else Kept(*found)

    def scored(self, decision_id: str) -> Scored | None:
        """What feedback on this decision would be about."""
        columns = (_DECISIONS.c[name] for name in ("key", "target", "model", "predicted_quality", "estimated_quality"))
        with self._connection() as connection:
            found = connection.execute(sa.select(*columns).where(_DECISIONS.c.id == decision_id)).first()
        return None if found is None else Scored(*found)

    def count(self) -> int:
        """How many decisions are kept."""
        with self._connection() as connection:
            counted: int = connection.execute(sa.select(sa.func.count()).select_from(_DECISIONS)).scalar_one()
        return counted

    def rows(self) -> Iterator[Row]:
        """All decisions, the oldest first."""
        with self._connection() as connection:
            every = sa.select(_DECISIONS).order_by(_DECISIONS.c.seq)
            for row in connection.execution_options(yield_per=AT_ONCE).execute(every).mappings():
                yield dict(row)

    def prune(self, *, before: float, most: int) -> None:
        """Forgets what was decided before that time (seconds since the epoch), and all but the newest so many."""
        with self._connection() as connection:
            newest = connection.execute(sa.select(sa.func.max(_DECISIONS.c.seq))).scalar_one() or 0
            old = sa.or_(_DECISIONS.c.at < before, _DECISIONS.c.seq <= newest - most)
            connection.execute(_DECISIONS.delete().where(old))

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        """A transaction on a database that has our tables."""
        try:
            if not self._ready:
                self._prepare()
            with self._engine.begin() as connection:
                yield connection
        except (SQLAlchemyError, OSError) as error:
            raise LogUnavailableError(f"the decision log: {_mend(error)}") from error

    def _prepare(self) -> None:
        """Makes the tables where there are none, and looks whether they are of this version."""
        if self._url.get_backend_name() == "sqlite":
            _private_file(self._url.database, create=self._create)
        with self._engine.begin() as connection:
            _META.create_all(connection)
            version = connection.execute(sa.select(sa.func.max(_SCHEMA.c.version))).scalar_one()
            if version is None:
                connection.execute(_SCHEMA.insert().values(version=SCHEMA))
        if version is not None and version != SCHEMA:
            raise LogUnavailableError(
                f"the decision log: {self.name} has tables of version {version}, this program knows {SCHEMA}; "
                "name another database in log.url, or run the program that made it"
            )
        self._ready = True


def _private_file(path: str | None, *, create: bool) -> None:
    """Made so that nobody else can read it: it may hold prompts."""
    if path and path != ":memory:" and not path.startswith("file:"):
        if create:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | (os.O_CREAT if create else 0), 0o600))


def _pragmas(connection: Any, _: object) -> None:  # noqa: ANN401 - the driver's own connection
    """Readers beside a writer, and several processes on one file."""
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=5000"):
        connection.execute(f"PRAGMA {pragma}")


def _mend(error: Exception) -> str:
    """One line; the driver's own words without the statement, whose values are nobody's business."""
    reason = getattr(error, "orig", None) or error
    return str(reason).partition("\n")[0]
