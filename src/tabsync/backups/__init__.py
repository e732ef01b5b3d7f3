"""Backups and disaster recovery: take, list, show, and the drill that proves them."""
