"""Game days: a condition is brought about for real, and what the manual says about it is timed."""
