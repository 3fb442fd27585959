"""The page at `/`: four files of this package, the same for everybody. What it shows it asks of /v1/overview."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from fastapi import APIRouter, Response

FILES: Final = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/page.svg": ("page.svg", "image/svg+xml"),
}
PAGE_PATHS: Final = frozenset(FILES)
HEADERS: Final = {
    "cache-control": "no-cache",
    # nothing but these files and the overview: no inline script or style, no other host, no frame
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


def page() -> APIRouter:
    """The routes of the files, which are read once."""
    routes = APIRouter()
    for path, (name, kind) in FILES.items():
        body = (files(__package__) / name).read_bytes()
        _serve(routes, path, body, {**HEADERS, "content-type": kind})
    return routes


def _serve(routes: APIRouter, path: str, body: bytes, headers: dict[str, str]) -> None:
    @routes.get(path)
    async def file() -> Response:
        return Response(body, headers=headers)
