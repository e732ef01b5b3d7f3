"""What the statements of a migration change in the catalog, and what of it is there. Pure."""
