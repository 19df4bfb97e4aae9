"""The journal on disk: decisions, orders, fills and account of one instance; checks, exports."""
