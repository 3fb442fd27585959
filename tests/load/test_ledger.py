"""The ledger against a plain list of who holds what, under any sequence of steps."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.domain import Capacity
from gateway.load.base import Claim, Foreign
from gateway.load.ledger import Ledger

LEASE_S = 20.0
NAMES = st.sampled_from("abc")
IDS = st.integers(0, 12).map(str)
CAPACITIES = st.dictionaries(
    NAMES,
    st.builds(
        Capacity,
        st.integers(1, 4),
        tokens_per_minute=st.none() | st.integers(1, 300),
        requests_per_minute=st.none() | st.integers(1, 9),
        kv_tokens=st.none() | st.integers(1, 200),
    ),
)


class Steps(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.capacities = {"a": Capacity(2), "b": Capacity(3, 200, 5, 100)}
        self.ledger = Ledger(self.capacities, LEASE_S)
        self.held: dict[str, tuple[Claim, float]] = {}
        self.now = 0.0
        self.replicas = 1

    @rule(seconds=st.floats(0, 30))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        ended = [name for name, (_, at) in self.held.items() if at + LEASE_S <= self.now]
        assert self.ledger.expire(self.now) == len(ended)
        for name in ended:
            del self.held[name]

    @rule(name=IDS, endpoint=NAMES, tokens=st.integers(0, 120))
    def take(self, name: str, endpoint: str, tokens: int) -> None:
        claim = Claim(name, endpoint, tokens)
        before = self.ledger.headroom(self.now)
        granted = self.ledger.take(claim, self.now)
        if endpoint not in self.capacities or name in self.held:
            assert not granted
            return
        i = self.ledger.endpoints.index(endpoint)
        fits = before.places[i] >= 1 and before.tokens[i] >= tokens and before.kv[i] >= tokens
        assert granted == fits
        if granted:
            self.held[name] = (claim, self.now)
            there = [held for held, _ in self.held.values() if held.endpoint == endpoint]
            assert len(there) <= -(-self.capacities[endpoint].concurrency // self.replicas)

    @rule(name=IDS, used=st.none() | st.integers(0, 300))
    def drop(self, name: str, used: int | None) -> None:
        assert (self.ledger.drop(name, used) is not None) == (self.held.pop(name, None) is not None)

    @rule(capacities=CAPACITIES)
    def reconfigure(self, capacities: dict[str, Capacity]) -> None:
        self.capacities = capacities
        self.ledger.reconfigure(capacities)

    @rule(replicas=st.integers(1, 3))
    def divide(self, replicas: int) -> None:
        self.replicas = replicas
        self.ledger.divide(replicas)

    @rule(endpoint=NAMES, slots=st.integers(0, 5), seconds=st.floats(0, 40))
    def correct(self, endpoint: str, slots: int, seconds: float) -> None:
        self.ledger.correct(endpoint, Foreign(slots=slots, until=self.now + seconds))

    @invariant()
    def load_is_who_holds_what(self) -> None:
        counted = dict.fromkeys(self.capacities, 0)
        for claim, _ in self.held.values():
            counted[claim.endpoint] = counted.get(claim.endpoint, 0) + 1
        assert self.ledger.held() == counted
        free = self.ledger.headroom(self.now)
        for row in (free.slots, free.requests, free.tokens, free.kv):
            assert row.shape == (len(self.capacities),)
            assert (row >= 0).all()

    def teardown(self) -> None:
        for name in list(self.held):
            self.ledger.drop(name)
        assert set(self.ledger.held().values()) <= {0}
        assert all(account.kv == 0 for account in self.ledger.accounts())


TestSteps = Steps.TestCase
TestSteps.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
