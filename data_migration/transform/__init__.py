"""Rows become values: columns are converted, and legacy values are led to the objects they mean.

Reads the target database and writes nothing. Who asks the ledger is handed in as a function.
"""
