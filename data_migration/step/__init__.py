"""One migration of a run, from its feed to its objects: read, recognise, write, remember, count.

Which rows are read, the second pass of deferred relations, the high-water mark and what ends a
step are here too. Imports every room below: it is here that sources, transform, writers and the
ledger meet.
"""
