"""The safety service: one posture for all traders, from what can be seen and ordered."""
