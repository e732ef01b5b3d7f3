"""Incidents: from the first page to the last box, as a record that fills itself."""
