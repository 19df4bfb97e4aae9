"""What a day is due: archives, backtests, reports, sweeps, and the sensors that ask for them."""
