"""`paretogate key`: a token for a caller, and the lines of the configuration that let it in."""

from __future__ import annotations

import secrets
from hashlib import sha256

import click

RANDOM_BYTES = 32  # nobody guesses 256 bits, so a plain hash of them is safe to keep


@click.command(name="key")
@click.argument("name")
def command(*, name: str) -> None:
    """Makes a token for a caller of this NAME. Only its hash goes into the configuration; nothing is kept here."""
    token = f"pg-{secrets.token_urlsafe(RANDOM_BYTES)}"
    click.echo(f"token, for the caller alone: {token}")
    click.echo("for the configuration, under `keys:`")
    click.echo(f"  - name: {name}\n    hash: sha256:{sha256(token.encode()).hexdigest()}")
