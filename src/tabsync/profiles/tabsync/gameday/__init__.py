"""The game day "payments": gateways that can be broken, a till that asks them, and what the runbook does about it."""
