"""Of use anywhere and about nothing of ours: words, secrets, processes, chunks, databases.

Imports the vocabulary (``conf``, ``exceptions``, ``outcomes``) alone.
"""
