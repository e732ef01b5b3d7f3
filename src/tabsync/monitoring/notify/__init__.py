"""Notifications: who is told of an alert, when, in which words, and by which channel."""
