"""Contracts: the tables, references, manifests and configurations that cross a border. No behaviour."""
