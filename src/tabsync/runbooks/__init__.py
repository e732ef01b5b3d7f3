"""Runbooks that run: from a symptom to a metric that has recovered, step by step, each on record."""
