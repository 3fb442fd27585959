"""Forwarding: the only place that opens connections to endpoints, and that knows what aiohttp raises."""

from gateway.upstream.reply import Reply
from gateway.upstream.session import Payload, Upstream

__all__ = ["Payload", "Reply", "Upstream"]
