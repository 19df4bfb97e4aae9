"""Why a decision was made: any journalled decision explained from its scan to its cost.

replay.py takes the day again from its opening, with what the journal says happened; explain.py says
what was decided and by what; turning.py finds the smallest change that would have turned it.
"""
