"""One results folder: its layout, its lock, and the files in it."""
