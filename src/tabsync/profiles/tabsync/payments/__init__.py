"""Payments: which of them fail, through which gateway, and since when."""
