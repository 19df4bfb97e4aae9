"""Binance USD-M: signed requests, the user stream, and the account's ledger from both."""
