"""The local runner: one table of services, started in order, restarted, never orphaned.

services.py makes the table, managed.py runs one service, runner.py all of them, and
orphan_reaper.py kills what is left if the runner itself is killed.
"""
