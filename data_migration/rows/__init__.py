"""One row on its way: its key, its checksum, and the draft that it is until it has an outcome.

What its driver could not give is remarked here; whether it changed is judged in ``step/delta``.
Imports ``fields`` and the vocabulary: what is done with a row is told elsewhere.
"""
