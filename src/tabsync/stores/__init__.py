"""Stores: content-addressed objects, and the manifests that make a backup exist."""
