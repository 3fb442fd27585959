"""What can be decided without a clock, a socket or a die."""
