"""Every way to get a configuration wrong has one message that names the place and the mend."""

from __future__ import annotations

import pytest

from gateway.domain import Budget, Capability, Key, Kind, MaxCost, MinQuality, Span, Tradeoff
from gateway.errors import ConfigurationError
from gateway.settings import parse

GOOD = """
version: 1
models:
  - name: small
    price: {input: 0.15, output: 0.60, cached_input: 0.075}
    context: 8000
    can: [tools]
    like: gpt-4o-mini
  - name: org/large
    price: {input: 2.5, output: 10}
endpoints:
  - {name: one, model: small, kind: vllm, url: "http://127.0.0.1:1/v1/", api_key: "${KEY}"}
  - {name: two, model: org/large, url: "https://api.example/v1", capacity: {concurrency: 4}}
routes:
  - name: auto
    models: ["org/*"]
    objective: {min_quality: 0.8}
keys:
  - {name: shop, hash: "sha256:SHOP", budget: {usd: 5, per: day}}
  - {name: ops, hash: "sha256:OPS", admin: true}
load: {redis: "${REDIS_URL:-}"}
""".replace("SHOP", "ab" * 32).replace("OPS", "cd" * 32)
ENV = {"KEY": "sk-secret"}


def test_a_good_configuration_becomes_the_domain() -> None:
    settings = parse(GOOD, ENV)
    small, large = (model.build() for model in settings.models)
    assert small.can == {Capability.TOOLS}
    assert large.can == frozenset(Capability)
    one, two = (endpoint.build() for endpoint in settings.endpoints)
    assert (one.kind, one.serves, one.url) == (Kind.VLLM, "small", "http://127.0.0.1:1/v1")
    assert two.capacity.concurrency == 4
    route = settings.routes[0].build(("small", "org/large"))
    assert route.models == ("org/large",)
    assert route.objective == MinQuality(0.8)


def test_without_routes_there_is_auto() -> None:
    settings = parse(GOOD.split("routes:", maxsplit=1)[0], ENV)
    assert settings.routes[0].build(("small",)).objective == Tradeoff(5.0)


def test_a_budget_is_an_objective() -> None:
    settings = parse(GOOD.replace("{min_quality: 0.8}", "{max_cost_per_1k: 0.5}"), ENV)
    assert settings.routes[0].objective.build() == MaxCost(0.5)


def test_keys_become_the_domain() -> None:
    shop, ops = (key.build() for key in parse(GOOD, ENV).keys)
    assert shop == Key("shop", bytes.fromhex("ab" * 32), budget=Budget(5, Span.DAY))
    assert (ops.admin, ops.limited, shop.limited) == (True, False, True)


def test_secrets_are_not_printed() -> None:
    shown = repr(parse(GOOD, ENV))
    assert "sk-secret" not in shown
    assert "abab" not in shown


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("kind: vllm", "kinds: vllm", "endpoints[0].kinds: unknown key; did you mean kind?"),
        ("concurrency: 4", "concurency: 4", "endpoints[1].capacity.concurency: unknown key; did you mean concurrency?"),
        ("version: 1", "version: 1\nwindows: {}", "windows: unknown key; did you mean window?"),
        ("    price: {input: 2.5, output: 10}\n", "", "models[1].price: missing; a model needs a price"),
        ("input: 0.15", "input: cheap", "models[0].price.input: input should be a valid number"),
        ("input: 0.15", "input: -1", "models[0].price.input: input should be greater than or equal to 0"),
        ("input: 0.15", "input: .nan", "models[0].price.input: input should be a finite number"),
        ("version: 1", "version: 2", "version: input should be 1"),
        ("model: small", "model: smal", "endpoints[0].model: no model is named 'smal'"),
        ("name: two", "name: one", "endpoints: the name 'one' is used twice"),
        ("name: auto", "name: small", "routes and models: the name 'small' is used twice"),
        ('models: ["org/*"]', 'models: ["nobody/*"]', "routes[0].models: ['nobody/*'] matches none"),
        ("{min_quality: 0.8}", "{min_quality: 0.8, tradeoff: 5}", "routes[0].objective: give exactly one of"),
        ("{min_quality: 0.8}", "{min_quality: 80}", "routes[0].objective.min_quality: input should be less than"),
        ("https://", "ftp://", "endpoints[1].url: a url begins with http:// or https://"),
        ("${KEY}", "${NOT_SET}", "endpoints[0].api_key: the environment has no NOT_SET"),
        ("[tools]", "[tooling]", "models[0].can[0]: input should be"),
        ("can: [tools]", "can: [[tools]", "not YAML"),
        (GOOD, "just words", "a configuration is a mapping with version, models and endpoints"),
        (
            "version: 1",
            "version: 1\npredictor: {url: 'ftp://p'}",
            "predictor.url: a url begins with http:// or https://",
        ),
        ("sha256:abab", "sha256:ABAB", "keys[0].hash: write sha256: and 64 hexadecimal digits"),
        ("sha256:" + "ab" * 32, "sha256:" + "cd" * 32, "keys: two of them have the same hash"),
        ("name: ops", "name: shop", "keys: the name 'shop' is used twice"),
        ("per: day", "per: week", "keys[0].budget.per: input should be 'day' or 'month'"),
        ("usd: 5", "usd: 0", "keys[0].budget.usd: input should be greater than 0"),
        ("admin: true", "admn: true", "keys[1].admn: unknown key; did you mean admin?"),
        ("api_key: ", 'api_key: "a\\nb", serves: ', "endpoints[0].api_key: a key is printable ASCII"),
    ],
)
def test_what_is_wrong_is_said_once_with_its_place(old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigurationError) as caught:
        parse(GOOD.replace(old, new, 1), ENV)
    assert message in caught.value.message
    assert len(caught.value.message.splitlines()) == 1
    assert "sk-secret" not in caught.value.message
