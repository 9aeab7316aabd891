"""One run of a plan: its transaction, its steps in their order, how it ends; rehearsals; signals.

Imports the steps and who shares them; knows nothing of commands, pages and queues.
"""
