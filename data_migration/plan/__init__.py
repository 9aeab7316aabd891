"""In which order migrations run, and the rules by which they are due (``launch/jobs`` asks them).

A plan is a value made of specs and of what the ledger says; nothing is run here.
"""
