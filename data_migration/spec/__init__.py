"""What a spec author writes, found, read and judged: a declaration that runs nothing.

What is decided about it for one step is a value of its own (hooks, legacy key, fingerprint).
"""
