"""`compute_signal`: from scans to one weight an asset. docs/signal.md has the formulas."""
