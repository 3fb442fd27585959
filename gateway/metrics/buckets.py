"""Where histograms divide what they count."""

from __future__ import annotations

from typing import Final

# seconds: what the gateway adds, from a parsed body to a long wait for room
PARTS: Final = (5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5, 30)
# seconds and tokens: the bounds that OpenTelemetry's conventions for generative AI advise
ANSWER: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKEN_TIME: Final = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
TOKENS: Final = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144)
QUERIES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
GAP: Final = (0, 1e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.5, 1)
