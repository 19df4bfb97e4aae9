"""`compute_signal`: from scans to one weight per asset. The formulas are in docs/signal.md."""
