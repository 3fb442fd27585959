"""The OpenAPI description: FastAPI's own for the routes that it serves, and ours for those that it does not see.

Types are made from the decoders that read the requests, so that what is described as wrong is refused. All that a
decision does not look at is the upstream's to judge, and is described as anything.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from gateway.http.messages import Part
from gateway.http.preferences import Routing
from gateway.http.surface import CHAT, SURFACES, Surface

Plain = dict[str, Any]

REF: Final = "#/components/schemas/"
MOST: Final = 2**31 - 1
ANYTHING: Final[Plain] = {}
WORD: Final[Plain] = {"type": ["string", "null"]}
FLAG: Final[Plain] = {"type": ["boolean", "null"]}
LIST: Final[Plain] = {"type": ["array", "null"]}
COUNT: Final[Plain] = {"type": ["integer", "null"], "minimum": 0, "maximum": MOST}
WORDS: Final[Plain] = {"type": ["array", "null"], "items": {"type": "string"}}
CONTENT: Final[Plain] = {
    "anyOf": [
        {"type": ["string", "null"]},
        {"type": "array", "items": {"anyOf": [{"$ref": f"{REF}Part"}, {"type": "string"}]}},
    ]
}
MESSAGE: Final[Plain] = {
    "type": "object",
    "properties": {
        "type": {"type": "string"},
        "role": {"type": "string"},
        "content": CONTENT,
        "tool_calls": ANYTHING,
        "tool_call_id": WORD,
        "call_id": WORD,
    },
    "description": "Every other field passes unread.",
}
TEXT: Final[Plain] = {
    "anyOf": [
        {"type": ["string", "null"]},
        {
            "type": "array",
            "items": {
                "anyOf": [
                    {"$ref": f"{REF}Message"},
                    {"type": ["string", "integer"]},
                    {"type": "array", "items": {"type": "integer"}},
                ]
            },
        },
    ]
}
SHAPE: Final[Plain] = {
    "type": ["object", "null"],
    "properties": {
        "type": {"type": "string"},
        "format": {"type": ["object", "null"], "properties": {"type": {"type": "string"}}},
    },
}
OPTIONS: Final[Plain] = {"type": ["object", "null"], "properties": {"include_usage": FLAG}}
FIELDS: Final[Plain] = {
    "model": {"type": "string", "minLength": 1, "description": "A route, such as `auto`, or a model."},
    "stream": FLAG,
    "stream_options": OPTIONS,
    "tools": LIST,
    "functions": LIST,
    "modalities": WORDS,
    "max_tokens": COUNT,
    "max_completion_tokens": COUNT,
    "max_output_tokens": COUNT,
    "n": COUNT,
    "best_of": COUNT,
    "previous_response_id": WORD,
    "routing": {"anyOf": [{"$ref": f"{REF}Routing"}, {"type": "null"}]},
}
ERROR: Final[Plain] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message"],
            "properties": {"message": {"type": "string"}, "type": {"type": "string"}, "param": WORD, "code": WORD},
        }
    },
}
REFUSED: Final[Plain] = {
    "description": "A refusal, ours or the upstream's; docs/errors.md has the table.",
    "content": {"application/json": {"schema": {"$ref": f"{REF}Error"}}},
}
PLAIN_TEXT: Final[Plain] = {"text/plain": {"schema": {"type": "string"}}}
OBJECT: Final[Plain] = {"application/json": {"schema": {"type": "object"}}}
REFUSALS: Final[Plain] = {"4XX": REFUSED, "5XX": REFUSED}
READY: Final[Plain] = {"200": {"description": "It can serve.", "content": OBJECT}}
NOT_READY: Final[Plain] = {"503": {"description": "What is missing, and why.", "content": OBJECT}}
ALIVE: Final[Plain] = {"200": {"description": "The process is there.", "content": OBJECT}}
PROBES: Final[Plain] = {
    "/livez": {"get": {"operationId": "livez", "summary": "Livez", "responses": ALIVE | REFUSALS}},
    "/readyz": {"get": {"operationId": "readyz", "summary": "Readyz", "responses": READY | NOT_READY | REFUSALS}},
}
HEADERS: Final[Plain] = {
    "x-request-id": {"schema": {"type": "string"}, "description": "The caller's own where it is sane."},
    "x-paretogate-decision": {"schema": {"type": "string"}, "description": "For GET /v1/decisions/{id}."},
    "x-paretogate-model": {"schema": {"type": "string"}},
    "x-paretogate-endpoint": {"schema": {"type": "string"}},
    "x-paretogate-cost-usd": {"schema": {"type": "string"}, "description": "Actual; of a stream, predicted."},
    "x-paretogate-quality": {"schema": {"type": "string"}, "description": "Predicted, 0 to 1."},
    "x-paretogate-overhead-ms": {"schema": {"type": "string"}},
}
ABOUT: Final = (
    "The body goes on to an endpoint of the chosen model as it came, but for `model`, `stream_options` and `routing`; "
    "fields that are not named here pass untouched. `routing` may be sent as `x-paretogate-*` headers instead."
)


def completed(described: Plain) -> Plain:
    """FastAPI's description with the inference paths in it, our errors on every path, and keys."""
    paths = described["paths"]
    for path in paths.values():
        for operation in path.values():
            _correct(operation)
    paths["/metrics"] = paths.pop("/v1/metrics")
    paths["/metrics"]["get"]["responses"]["200"]["content"] = PLAIN_TEXT
    paths |= PROBES
    paths |= {f"/v1{surface.path}": {"post": _operation(surface)} for surface in SURFACES}
    parts = described.setdefault("components", {})
    _, made = msgspec.json.schema_components([Part, Routing], ref_template=REF + "{name}")
    kept = {name: each for name, each in parts.get("schemas", {}).items() if "Validation" not in name}
    parts["schemas"] = kept | made | {"Message": MESSAGE, "Error": ERROR}
    parts["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "description": "Where keys are configured."}
    }
    described["security"] = [{}, {"key": []}]
    return described


def _correct(operation: Plain) -> None:
    """What FastAPI would answer with 422 we answer as any other wrong request."""
    operation["responses"] = {"200": operation["responses"]["200"]} | REFUSALS


def _operation(surface: Surface) -> Plain:
    """One inference path."""
    fields = {**FIELDS, surface.text_field: _text(surface)}
    if surface.shape_field not in fields:
        fields[surface.shape_field] = SHAPE
    required = ["model", surface.text_field] if surface.must_have_text else ["model"]
    content: Plain = {"application/json": {"schema": {"type": "object"}}}
    if surface.streams:
        content["text/event-stream"] = {"schema": {"type": "string"}}
    return {
        "operationId": surface.path.strip("/").replace("/", "_"),
        "summary": f"OpenAI's {surface.path}",
        "description": ABOUT,
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"type": "object", "required": required, "properties": fields}}},
        },
        "responses": {
            "200": {"description": "The upstream's own answer.", "headers": HEADERS, "content": content},
            "4XX": REFUSED,
            "5XX": REFUSED,
        },
    }


def _text(surface: Surface) -> Plain:
    if surface is CHAT:
        return {"type": "array", "minItems": 1, "items": {"$ref": f"{REF}Message"}}
    if not surface.must_have_text:
        return TEXT
    return {"anyOf": [{"type": "string", "minLength": 1}, {**TEXT["anyOf"][1], "minItems": 1}]}
