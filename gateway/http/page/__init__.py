"""The page at `/`: four files of this package, the same for everybody. What it shows it asks of /v1/overview."""

from __future__ import annotations

from typing import Final

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
