"""Predictions become estimates of the configured models."""

from gateway.estimator.columns import Columns, columns_for
from gateway.estimator.estimator import AwayError, Estimator

__all__ = ["AwayError", "Columns", "Estimator", "columns_for"]
