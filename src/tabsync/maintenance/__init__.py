"""Maintenance: dead rows, the planner's statistics, and indexes that are not used since they are invalid."""
