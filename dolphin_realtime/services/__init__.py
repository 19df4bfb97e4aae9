"""The services: one process each; no service imports another one."""
