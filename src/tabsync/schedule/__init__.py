"""The schedule: what should have happened by the manual, what did, and what a person has to do."""
