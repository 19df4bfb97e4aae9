"""Shared by trader and backtest: one scan from decision to journal rows, the engine interface.

Nothing here uses NautilusTrader, the grid or the wall clock.
"""
