"""The local runner: one table of services, started in order, restarted, never orphaned.

services.py is the table, managed.py one service's life, runner.py all of them, sweeper.py
the last resort when the runner itself is killed.
"""
