"""The only folder that uses NautilusTrader: trading engines behind trading/execution.py.

paper.py is a running node with a simulated venue, backtest.py uses NautilusTrader's backtest
engine. Both hold an order until the fill rule has found its quote (simulated.py), and book the
price and the fee that Dolphin computed. The core (NautilusTrader) sends orders, tracks their
state and books fills.
"""
