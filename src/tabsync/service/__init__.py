"""The service: what `tabsync serve` runs. It keeps the schedule, and starts each due run as a process of its own."""
