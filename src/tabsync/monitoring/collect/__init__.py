"""The collector: what it does with one kept session."""
