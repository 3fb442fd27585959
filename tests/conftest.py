"""Fixtures that several rooms share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.redis_server import RedisServer, valkey_server

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[RedisServer]:
    """One Redis for the whole run. Do not pause or kill it; use `redis_server` for that."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis_url(shared_redis: RedisServer) -> str:
    """The address of an empty Redis."""
    with shared_redis.client() as client:
        client.flushall()
    return shared_redis.url


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A Redis of the test's own, to pause, kill and start again."""
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="session")
def shared_valkey() -> Iterator[RedisServer]:
    """One Valkey for the whole run."""
    with RedisServer(valkey_server()) as server:
        yield server


@pytest.fixture
def valkey_url(shared_valkey: RedisServer) -> str:
    """The address of an empty Valkey."""
    with shared_valkey.client() as client:
        client.flushall()
    return shared_valkey.url
