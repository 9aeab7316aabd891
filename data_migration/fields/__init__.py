"""What the fields of a model take, keep and compare: of Django's fields and of a project's own.

Knows models, and no row, run or table. Imports ``utils`` and the vocabulary alone.
"""
