"""What every service has around its work: the frame, figures for Prometheus, the alert log."""
