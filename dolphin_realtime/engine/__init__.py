"""The one folder that knows NautilusTrader: trading engines behind trading/execution.py.

paper.py is a running node with a simulated venue, backtest.py its backtest engine. Both hold an
order until the fill rule has found its quote (simulated.py) and book the price and the fee that
Dolphin computed: the core sends, keeps the order's life, and books.
"""
