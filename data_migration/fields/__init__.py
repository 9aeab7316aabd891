"""How a value becomes one of a field: converted, and with what loss; how it is kept and compared.

Of Django's fields and of a project's own. Knows models, and no row, run or table. Imports
``utils`` and the vocabulary alone.
"""
