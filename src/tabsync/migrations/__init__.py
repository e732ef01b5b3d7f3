"""Migrations of the application's schema: what their histories say, and what is really there."""
