"""Outcome data of one's own: every configured model is asked every prompt, and its answers are graded."""
