"""The folders of a study's trials, named by the job's template."""

from __future__ import annotations

import glob
import json
import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trialrun.names import file_name
from trialrun.run_dir import layout
from trialrun.space import flatten_values

__all__ = ["DEFAULT_TEMPLATE", "TrialFolders", "read_trial_folders"]

DEFAULT_TEMPLATE = "{trial_id}"
_LIMIT = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialFolders:
    """`template` names a trial's folder below `root`: `{trial_id}` and hyperparameters, `names`, in braces."""

    root: Path
    template: str = DEFAULT_TEMPLATE
    names: tuple[str, ...] = ()

    def find_folder(self, trial_id: str, config: Mapping[str, Any] | None = None) -> Path:
        """Return the trial's folder: the existing one, else the one that the template names.

        An existing folder keeps its name when a scheduler changes the `config`. Without a `config`, the name of a
        folder that does not exist yet is the trial's id.
        """
        if self.template == DEFAULT_TEMPLATE:
            return self.root / trial_id
        existing = sorted(self.root.glob(f"*{glob.escape(trial_id)}*"), key=lambda path: len(path.name))
        if existing:
            return existing[0]
        return self.root / (trial_id if config is None else self._format_name(trial_id, config))

    def _format_name(self, trial_id: str, config: Mapping[str, Any]) -> str:
        values = {**flatten_values(config, self.names), **{n: config[n] for n in self.names if n in config}}
        try:
            text = string.Formatter().vformat(self.template, (), {**values, "trial_id": trial_id})
        except (ValueError, KeyError, TypeError):  # the format does not fit this value
            return trial_id
        name = file_name(text, _LIMIT)
        return name if trial_id in name else f"{file_name(text, _LIMIT - len(trial_id) - 1)}_{trial_id}"


def read_trial_folders(results: Path) -> tuple[TrialFolders, tuple[str, str] | None]:
    """Return the trial folders of a run, and the names of a trial's stdout and stderr files; None: it keeps none.

    The run's job says both. A folder without a readable job counts as one with the defaults.
    """
    from trialrun_hookspecs.request import TuneConfig

    root = results / layout.TRIALS_DIR
    try:
        job = json.loads((results / layout.JOB_FILE).read_bytes())
        config = TuneConfig.model_validate(job["params"]["tune_config"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return TrialFolders(root=root), layout.OUTPUT_FILES
    return TrialFolders(root=root, template=config.trial_name), config.output_files
