"""Breaks on import: ends the program."""

import sys

sys.exit(3)
