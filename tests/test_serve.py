"""What `paretogate serve` refuses to start with, and the keys that `paretogate key` makes."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from gateway.cli import main
from gateway.cli.serve import check_open
from gateway.errors import ConfigurationError
from gateway.settings import read

CONFIG = Path(__file__).parents[1] / "config"
EVERYWHERE = ("0.0.0.0", "::", "192.0.2.7", "gateway.example")
HERE = ("127.0.0.1", "127.0.0.2", "::1", "localhost")


@pytest.mark.parametrize("host", EVERYWHERE)
@pytest.mark.parametrize("config", [None, CONFIG / "gateway.yaml"], ids=["found", "configured"])
def test_without_keys_it_does_not_listen_to_others(host: str, config: Path | None) -> None:
    settings = read(config, {}) if config else None
    with pytest.raises(ConfigurationError, match=r"--host .*paretogate key NAME.*--insecure"):
        check_open(settings, host, insecure=False)
    check_open(settings, host, insecure=True)


@pytest.mark.parametrize("host", EVERYWHERE)
def test_with_keys_it_does(host: str) -> None:
    check_open(read(CONFIG / "keys.yaml", {}), host, insecure=False)


@pytest.mark.parametrize("host", HERE)
def test_on_this_machine_no_keys_are_needed(host: str) -> None:
    check_open(None, host, insecure=False)


def test_the_command_ends_with_the_reason_before_it_listens() -> None:
    arguments = ["serve", "--config", str(CONFIG / "gateway.yaml"), "--host", "0.0.0.0", "--port", "0"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1
    assert "--host 0.0.0.0: without keys" in result.output


def test_a_key_that_is_made_fits_its_hash_and_is_another_each_time() -> None:
    first, second = (CliRunner().invoke(main, ["key", "shop"]).output for _ in range(2))
    token = re.search(r"pg-[\w-]{43}", first)
    assert token
    assert token[0] not in second
    [lines] = yaml.safe_load(first[first.index("  - name") :])
    assert lines == {"name": "shop", "hash": f"sha256:{sha256(token[0].encode()).hexdigest()}"}
