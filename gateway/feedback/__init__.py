"""What has been decided and how well it turned out: the last decisions in memory, the log of all, and feedback."""

from gateway.feedback.recent import DecisionLog
from gateway.feedback.row import Ended
from gateway.feedback.scoring import Scoring, no_decision
from gateway.feedback.writer import Keep, Writer

__all__ = ["DecisionLog", "Ended", "Keep", "Scoring", "Writer", "no_decision"]
