"""Keeping the ledger itself: copied to the store each night, and rid of what is old."""
