"""How fast the import is, against the ways a person would write by hand: ``make bench``."""
