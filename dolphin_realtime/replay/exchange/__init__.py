"""A futures venue on loopback that takes orders, in Binance USD-M's wire format. Simulated.

Accounts, orders, keys, user streams and faults on request. Pure parts: account.py (wallet and
positions), orders.py, shown_book.py (matching), symbols.py (rules), answers.py and events.py (the
wire). Stateful parts: keys.py, exchange.py. server.py serves them on 127.0.0.1.

Amounts are `Decimal`, so that its arithmetic is not the one that it judges. Instants are
milliseconds of wall time, as clients sign them.
"""
