"""Inbound: what a client sees."""
