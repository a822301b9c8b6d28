"""The plugin of this folder."""
