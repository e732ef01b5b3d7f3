"""Alerts: conditions that last become episodes, which are told and which end."""
