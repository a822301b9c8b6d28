"""Plugins to learn from, one per module; each imports the contract and its own library only."""
