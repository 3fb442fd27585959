"""What a configuration names, made: the fleet, the artifact, the keys of its endpoints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gateway.core.fleet import Fleet
from gateway.errors import ConfigurationError
from predictors.artifact import ArtifactError
from predictors.registry import STARTER, load_artifact

if TYPE_CHECKING:
    from pydantic import SecretStr

    from gateway.settings import Settings
    from gateway.settings.fleet import EndpointSettings
    from predictors.artifact import Artifact


def fleet_of(settings: Settings) -> Fleet:
    models = [model.build() for model in settings.models]
    names = tuple(model.name for model in models)
    endpoints = [endpoint.build() for endpoint in settings.endpoints]
    return Fleet(models, endpoints, [route.build(names) for route in settings.routes])


def artifact_of(settings: Settings) -> Artifact | None:
    """The configured artifact, or None where priors serve.

    Raises:
        ConfigurationError: it cannot be used.
    """
    its = settings.predictor
    if its.artifact is None:
        return None
    try:
        return load_artifact(its.artifact, its.encoder, its.encoder_key.get_secret_value())
    except ArtifactError as error:
        raise ConfigurationError(f"predictor.artifact: {error}") from error


def api_keys(settings: Settings) -> dict[str, SecretStr]:
    return {endpoint.name: endpoint.api_key for endpoint in settings.endpoints if endpoint.api_key is not None}


def manifest_of(settings: Settings) -> Path | None:
    """The file that tells one artifact from another; None where there is none that may change."""
    artifact = settings.predictor.artifact
    return Path(artifact) / "manifest.json" if artifact and artifact != STARTER else None


def same_place(one: EndpointSettings, other: EndpointSettings | None) -> bool:
    """Whether it is the same endpoint, whatever it can take and however long it is waited for."""
    if other is None:
        return False
    return (one.model, one.url, one.kind, one.serves, one.api_key) == (
        other.model,
        other.url,
        other.kind,
        other.serves,
        other.api_key,
    )
