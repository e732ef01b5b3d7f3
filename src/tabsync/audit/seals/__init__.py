"""The chain of seals: entries are sealed, and verified."""
