"""Trading permission: the posture, the trader's own market posture, pre-trade limits."""
