"""In which order migrations run, and which of them are due.

A plan is a value made of specs and of what the ledger says; nothing is run here.
"""
