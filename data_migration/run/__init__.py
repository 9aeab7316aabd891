"""One run of a plan: the transaction around it, its steps, how it ends; rehearsals; signals.

The transactions of batches are those of ``step``. Imports the steps and who shares them;
knows nothing of commands, pages and queues.
"""
