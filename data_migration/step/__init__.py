"""One migration of a run, from its feed to its objects: read, recognise, write, remember, count.

Imports every room below: it is here that sources, transform, writers and the ledger meet.
"""
