"""Profiles: what is known about one application. The engine itself works for any PostgreSQL 15 to 18."""
