"""The ways of importing that are compared, one module each.

Each has ``run(case, **options)``, which is measured from beginning to end; ``prepare`` of the same
form where something has to be made ready before the clock runs; and ``count(case)`` where the rows
do not end in the model's table. :exc:`benchmarks.job.Absent` says that a way does not exist here.
"""
