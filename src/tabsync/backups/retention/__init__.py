"""Retention: what has expired by the manual, and what no backup needs any more."""
