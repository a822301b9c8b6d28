"""Every plugin of `tests/broken_plugins` trips what it is named after."""

from __future__ import annotations

from pathlib import Path

import pytest

from trialrun.plugins import load_plugin
from trialrun_hookspecs.errors import PluginBroken, PluginError, PluginRefused

FOLDER = Path(__file__).parents[2] / "broken_plugins"
TRAIN = "`def train(run, dataset, hyperparameter, checkpoint, **kwargs)`"
TUNE = "`def tune(hyperparameter, run, dataset, checkpoint, **kwargs)`"

CASES: dict[str, tuple[type[PluginError], tuple[str, ...]]] = {
    "syntax_error.py": (PluginBroken, ("SyntaxError", "syntax_error.py:4")),
    "raises_on_import.py": (PluginBroken, ("RuntimeError: no licence", "raises_on_import.py:3")),
    "exits_on_import.py": (PluginBroken, ("SystemExit: 3", "exits_on_import.py:5", "__main__")),
    "missing_dependency.py": (PluginBroken, ("ModuleNotFoundError", "pip install a_library_that_nobody_has")),
    "without_train.py": (PluginRefused, ("must implement a hook", "Did you mean 'training'?", TRAIN)),
    "tune_without_train.py": (PluginRefused, ("must have `train(",)),
    "train_in_tune_order.py": (
        PluginRefused,
        ("train()", "train_in_tune_order.py:4", "`train(hyperparameter, run, dataset, checkpoint, **kwargs)`", TRAIN),
    ),
    "tune_in_train_order.py": (
        PluginRefused,
        ("tune()", "`tune(run, dataset, hyperparameter, checkpoint=None, **kwargs)`", "must have the order", TUNE),
    ),
    "too_few_parameters.py": (PluginRefused, ("by position", "`train(run, dataset, hyperparameter)`", TRAIN)),
    "required_extra.py": (PluginRefused, ("epochs, device must have a default", TRAIN)),
    "async_train.py": (PluginRefused, ("an async function", TRAIN)),
    "generator_train.py": (PluginRefused, ("a generator", "Only tune() may yield")),
    "misspelt_hook.py": (PluginRefused, ("'trian'", "misspelt_hook.py:6", "Did you mean 'train'?")),
    "hook_twice.py": (PluginRefused, ("'train' must be implemented once",)),
    "wrapped_hook.py": (PluginRefused, ("must not be a wrapper",)),
    "config_no_yaml": (PluginBroken, ("must be readable YAML", "config.yaml:2")),
    "config_without_actions": (PluginBroken, ("actions is required", "Did you mean 'actions'", "'action'")),
    "config_without_train": (PluginBroken, ("actions.train is required", "'trian'")),
    "config_without_entrypoint": (PluginBroken, ("actions.train.entrypoint is required", "method")),
    "config_entrypoint_no_path": (PluginBroken, ("actions.train.entrypoint must be a dotted path", "42")),
    "config_actions_no_mapping": (PluginBroken, ("actions must be a mapping", "a list")),
    "config_module_absent": (PluginBroken, ("actions.train.entrypoint", "'plugin.training'", "'plugin.train'")),
    "config_function_absent": (PluginBroken, ("actions.train.entrypoint", "no 'main'")),
    "config_package_absent": (PluginBroken, ("'plugins'", "actions.train.entrypoint")),
    "config_tune_broken": (PluginBroken, ("No module named 'plugin.helpers'", "tune.py:1")),
    "config_tune_empty": (PluginRefused, ("plugin.tune must define tune()", TUNE)),
}


@pytest.mark.parametrize("name", list(CASES))
def test_a_broken_plugin_is_told_by_its_name(name: str) -> None:
    kind, said = CASES[name]
    with pytest.raises(PluginError) as caught:
        load_plugin(FOLDER / name)
    assert type(caught.value) is kind
    assert len(caught.value.problems) == 1
    assert [part for part in (*said, str(FOLDER / name)) if part not in str(caught.value)] == []
    assert caught.value.exit_code == 2
    assert kind is PluginRefused or caught.value.__cause__ is not None or name.startswith("config")


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(PluginRefused) as caught:
        load_plugin(FOLDER / "three_faults.py")
    text = str(caught.value)
    assert len(caught.value.problems) == 3
    assert "`train(hyperparameter, run, dataset, checkpoint)`" in text
    assert "`tune(run, hyperparameter)`" in text
    assert "async" in text


@pytest.mark.parametrize(
    ("spec", "kind", "said"),
    [
        ("needs_arguments:Plugin", PluginBroken, "the class Plugin must be callable without arguments"),
        ("unmarked_methods:Plugin", PluginRefused, "`train` without @hookimpl"),
    ],
)
def test_a_class_that_does_not_do_is_told_why(spec: str, kind: type[PluginError], said: str) -> None:
    with pytest.raises(kind) as caught:
        load_plugin(spec)
    assert said in str(caught.value)
