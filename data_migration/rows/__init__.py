"""One row on its way: its key, its checksum, and the draft that it is until it has an outcome.

Imports ``fields`` and the vocabulary: what is done with a row is told elsewhere.
"""
