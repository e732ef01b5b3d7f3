"""Copies: what any chapter needs to take a database's dump, restore it elsewhere, prove it and ask it."""
