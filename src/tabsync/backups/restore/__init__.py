"""Restores into servers that people use."""
