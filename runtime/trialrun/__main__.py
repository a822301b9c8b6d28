"""The command as `python -m trialrun`."""

from __future__ import annotations

from trialrun.cli import main

if __name__ == "__main__":
    main(prog_name="trialrun")
