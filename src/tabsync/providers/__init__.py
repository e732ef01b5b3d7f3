"""Who runs a managed server, and what they keep of it themselves; and the backup tools that are there already."""
