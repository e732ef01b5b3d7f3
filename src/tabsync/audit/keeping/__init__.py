"""What leaves the audit log: old months go to the stores, a person's values are masked."""
