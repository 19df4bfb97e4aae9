"""The safety service: one posture for all traders, from measurements and operator commands."""
