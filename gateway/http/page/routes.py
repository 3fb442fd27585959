"""The page's files as FastAPI serves them."""

from __future__ import annotations

from importlib.resources import files

from fastapi import APIRouter, Response

from gateway.http.page import FILES, HEADERS


def page() -> APIRouter:
    """The routes of the files, which are read once."""
    routes = APIRouter()
    for path, (name, kind) in FILES.items():
        body = (files("gateway.http.page") / name).read_bytes()
        _serve(routes, path, body, {**HEADERS, "content-type": kind})
    return routes


def _serve(routes: APIRouter, path: str, body: bytes, headers: dict[str, str]) -> None:
    @routes.get(path)
    async def file() -> Response:
        return Response(body, headers=headers)
