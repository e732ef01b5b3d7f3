"""Tests of the ledger's own upkeep."""
