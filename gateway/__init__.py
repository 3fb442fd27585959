"""The service: predict, price, assign, reserve, forward, settle."""

__version__ = "0.1.0"
