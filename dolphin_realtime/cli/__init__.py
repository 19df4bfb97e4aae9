"""The command line, `dolphin …`: one file for each subject, shared rules in app.py.

Commands parse options and print results; the work itself is done in other packages.
"""

from dolphin_realtime.cli.app import main

__all__ = ["main"]
