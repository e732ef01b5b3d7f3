"""Dumps: how one is made, what it contains, and what is known of it without a server."""
