"""The service in real processes."""
