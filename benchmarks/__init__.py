"""Measurements against PostgreSQL's own programs, in the same run, as ratios."""
