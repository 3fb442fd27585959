"""The configuration: one frozen, strict tree, read once at the entry point."""

from gateway.settings.read import from_tree, parse, read
from gateway.settings.schema import Settings

__all__ = ["Settings", "from_tree", "parse", "read"]
