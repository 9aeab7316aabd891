"""Rows become values: columns by their fields, and legacy values by the objects they mean.

Which object of the target a row is already is found here too. Reads the target database; only
rows of a tree that wait for each other are linked here. Who asks the ledger for links is handed in
as a function.
"""
