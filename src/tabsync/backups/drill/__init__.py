"""Drills: the disaster rehearsed on a copy that is deleted afterwards, measured against the manual."""
