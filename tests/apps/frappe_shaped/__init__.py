"""An app whose patches are as Frappe has them: a list, and modules with ``execute()``.

Its folder's parent has to be in ``sys.path``: it is called ``frappe_shaped``. Not installed but
where a test wants it, and without models: its patches write those of the shop.
"""
