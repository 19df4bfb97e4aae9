"""What trader and backtest share: one scan from decision to rows, and the seam to an engine.

No NautilusTrader, no grid, no clock of the wall here.
"""
