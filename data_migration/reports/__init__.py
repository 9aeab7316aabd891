"""What the ledger says, as tables for people and as JSON for programs.

Reads; decides and writes nothing. Imports the ledger, the plan and what undo plans.
"""
