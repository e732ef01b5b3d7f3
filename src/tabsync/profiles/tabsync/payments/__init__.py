"""Payments: what failed and whose fault it looks like, what the gateways say, and what changed here."""
