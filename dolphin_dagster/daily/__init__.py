"""The work of each day: archives, backtests, reports, sweeps, and the sensors that request it."""
