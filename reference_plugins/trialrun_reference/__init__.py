"""Plugins to learn from and copy, one per module; each imports the contract and its own library only."""
