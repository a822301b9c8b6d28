"""Where each trial of a study has its folder, named by the job's template."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trialrun.names import file_name
from trialrun.space import flatten_values

__all__ = ["DEFAULT_TEMPLATE", "TrialFolders"]

DEFAULT_TEMPLATE = "{trial_id}"
_LIMIT = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialFolders:
    """`template` names a trial's folder below `root`: `{trial_id}` and hyperparameters, `names`, in braces."""

    root: Path
    template: str = DEFAULT_TEMPLATE
    names: tuple[str, ...] = ()

    def find_folder(self, trial_id: str, config: Mapping[str, Any] | None = None) -> Path:
        """The trial's folder. One that is there stays what it is, whatever a scheduler made of the `config` since.

        Without a `config`, and where there is no folder yet, the plain name: that of the trial's id.
        """
        if self.template == DEFAULT_TEMPLATE:
            return self.root / trial_id
        there = sorted(self.root.glob(f"*{trial_id}*"), key=lambda path: len(path.name))
        if there:
            return there[0]
        return self.root / (trial_id if config is None else self._format_name(trial_id, config))

    def _format_name(self, trial_id: str, config: Mapping[str, Any]) -> str:
        values = {**flatten_values(config, self.names), **{n: config[n] for n in self.names if n in config}}
        try:
            text = string.Formatter().vformat(self.template, (), {**values, "trial_id": trial_id})
        except (ValueError, KeyError, TypeError):  # a format that this value does not take
            return trial_id
        name = file_name(text, _LIMIT)
        return name if trial_id in name else f"{file_name(text, _LIMIT - len(trial_id) - 1)}_{trial_id}"
