"""Of use anywhere and about nothing of ours: words, secrets, processes, chunks, databases.

What a target database can do, and how its session is kept strict, is here. Imports the vocabulary
(``conf``, ``exceptions``, ``outcomes``) alone.
"""
