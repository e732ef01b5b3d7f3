"""The contract every procedure goes through: inspect, plan, apply, verify, record. No I/O happens here."""
