"""Everything about one results folder: its layout, its lock, and what is written into it."""
