"""How much of each endpoint is taken, and by whom."""
