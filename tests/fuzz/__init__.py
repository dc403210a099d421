"""Seeded mutations of every kind of file that a stranger may give, and what reads them."""
