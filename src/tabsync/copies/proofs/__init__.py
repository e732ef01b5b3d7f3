"""Proofs: a restored copy answers, and is the same as its backup."""
