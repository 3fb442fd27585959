"""Every instrument and its help text. Label values come from the configuration alone; anything else is `other`."""

from gateway.metrics.answers import OTHER, PARTS, Answers
from gateway.metrics.instruments import CONTENT_TYPE, Metrics
from gateway.metrics.lag import LoopLag
from gateway.metrics.load import Predictions, Sharing

__all__ = ["CONTENT_TYPE", "OTHER", "PARTS", "Answers", "LoopLag", "Metrics", "Predictions", "Sharing"]
