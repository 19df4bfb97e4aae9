"""What every service has around its work: service context, Prometheus metrics, alert log."""
