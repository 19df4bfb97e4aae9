"""The command line, `dolphin …`: one file a subject, shared rules in app.py.

Commands ask and print; what they ask for is done elsewhere.
"""

from dolphin_realtime.cli.app import main

__all__ = ["main"]
