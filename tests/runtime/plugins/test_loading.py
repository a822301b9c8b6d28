"""The six ways of handing over a plugin."""

from __future__ import annotations

import pickle
import subprocess
import sys
import textwrap
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import pytest

from trialrun.plugins import Plugin, Recipe, load_plugin, load_recipe, module_isolation
from trialrun_hookspecs.errors import PluginAbsent, PluginBroken, PluginRefused
from trialrun_hookspecs.markers import hookimpl

from .conftest import Write

GOOD = """
    def train(run, dataset, hyperparameter, checkpoint=None, **kwargs):
        return [run, dataset, hyperparameter, checkpoint, kwargs]

    def tune(hyperparameter, run, dataset, checkpoint=None, **kwargs):
        yield [run, dataset, hyperparameter, checkpoint, kwargs]
"""
ANSWER = ["R", "D", "H", "C", {"extra": 1}]
CONFIG = "actions: {train: {entrypoint: plugin.train.train}}"


class Marked:
    @hookimpl
    def train(self, run: Any, dataset: Any, hyperparameter: Any, checkpoint: Any = None, **kwargs: Any) -> Any:
        return [run, dataset, hyperparameter, checkpoint, kwargs]

    @hookimpl
    def tune(self, hyperparameter: Any, run: Any, dataset: Any, checkpoint: Any = None, **kwargs: Any) -> Iterator[Any]:
        yield [run, dataset, hyperparameter, checkpoint, kwargs]


def check_called(plugin: Plugin) -> None:
    assert plugin.has("train")
    assert plugin.has("tune")
    assert not plugin.has("report")
    assert plugin.train("R", "D", "H", "C", extra=1) == ANSWER
    assert list(plugin.tune("H", "R", "D", "C", extra=1)) == [ANSWER]


def install(write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *points: str, name: str = "acme") -> None:
    """Put a distribution with these entry points on the path."""
    write(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    write(f"{name}-1.0.dist-info/entry_points.txt", "[trialrun]\n" + "\n".join(points) + "\n")
    monkeypatch.syspath_prepend(str(tmp_path))


# -- each way


def test_a_py_file_loads(write: Write) -> None:
    path = write("a/plugin.py", GOOD)
    check_called(load_plugin(path))
    check_called(load_plugin(str(path)))
    assert load_plugin(path).name == "plugin"


@pytest.mark.parametrize("name", ["my-plugin.py", "json.py", "1st.py", "trialrun.py", "a.b.py"])
def test_a_file_whose_name_is_no_free_module_name_loads(write: Write, name: str) -> None:
    import json

    check_called(load_plugin(write(name, GOOD)))
    assert sys.modules["json"] is json


def test_a_package_folder_loads_with_relative_imports(write: Write) -> None:
    write("my_package/inner.py", GOOD)
    folder = write("my_package/__init__.py", "from .inner import train, tune").parent
    check_called(load_plugin(folder))
    check_called(load_plugin(folder / "__init__.py"))
    assert load_plugin(folder).name == "my_package"


def test_a_file_inside_a_package_loads_with_relative_imports(write: Write) -> None:
    write("my_package/__init__.py")
    write("my_package/sub/__init__.py")
    write("my_package/inner.py", GOOD)
    check_called(load_plugin(write("my_package/sub/plugin.py", "from ..inner import train, tune")))


def test_a_dotted_path_loads(write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write("dotted_one/__init__.py")
    write("dotted_one/module.py", GOOD)
    monkeypatch.syspath_prepend(str(tmp_path))
    check_called(load_plugin("dotted_one.module"))


def test_a_dotted_path_is_found_in_the_current_folder(
    write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write("dotted_two.py", GOOD)
    monkeypatch.chdir(tmp_path)
    plugin = load_plugin("dotted_two")
    check_called(plugin)
    assert plugin.get_recipe() == Recipe(kind="module", spec="dotted_two", name="dotted_two", root=str(tmp_path))


def test_a_dotted_path_to_an_object_or_class_loads(
    write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    marked = source[source.index("class Marked") : source.index("def check_called")]
    head = "from __future__ import annotations\nfrom trialrun_hookspecs.markers import hookimpl\n"
    write("dotted_three.py", f"{head}{marked}\nclass Outer:\n    inner = Marked()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    check_called(load_plugin("dotted_three:Marked"))
    check_called(load_plugin("dotted_three:Outer.inner"))


@pytest.mark.parametrize("value", ["acme_good", "acme_good:plugin", "acme_good [extra]"])
def test_an_installed_plugin_loads_by_its_name(
    write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str
) -> None:
    write("acme_good.py", f"{GOOD}\n    import sys\n    plugin = sys.modules[__name__]\n")
    install(write, monkeypatch, tmp_path, f"good-one = {value}")
    plugin = load_plugin("good-one")
    check_called(plugin)
    assert plugin.name == "good-one"


def test_an_installed_plugin_comes_before_a_folder_of_that_name(
    write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write("acme_good.py", GOOD)
    write("good/__init__.py", GOOD)
    install(write, monkeypatch, tmp_path, "good = acme_good")
    monkeypatch.chdir(tmp_path)
    assert load_plugin("good").code.__name__ == "acme_good"
    assert load_plugin("./good").code.__name__ == "good"


def test_a_bare_folder_name_loads(write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write("bare/__init__.py", GOOD)
    monkeypatch.chdir(tmp_path)
    check_called(load_plugin("bare"))


@pytest.mark.parametrize("init", [True, False])
def test_the_platforms_form_loads(write: Write, init: bool) -> None:
    folder = write("p/config.yaml", f"code: digits\n{CONFIG}").parent
    if init:
        write("p/plugin/__init__.py")
    write("p/plugin/train.py", GOOD.split("    def tune", maxsplit=1)[0])
    write("p/plugin/shared.py", GOOD)
    write("p/plugin/tune.py", "from plugin.shared import tune")
    check_called(load_plugin(folder))
    check_called(load_plugin(folder / "config.yaml"))
    assert load_plugin(folder).name == "digits"


def test_the_platforms_form_takes_any_function_name(write: Write) -> None:
    write("p/main.py", GOOD.replace("def train", "def fit").replace("def tune", "def search"))
    config = "actions: {train: {entrypoint: main.fit}, tune: {entrypoint: 'main:search'}}"
    check_called(load_plugin(write("p/config.yaml", config).parent))


def test_the_platforms_form_takes_tune_from_the_same_module(write: Write) -> None:
    write("p/plugin/train.py", GOOD)
    check_called(load_plugin(write("p/config.yaml", CONFIG).parent))


def test_the_platforms_form_takes_tune_from_beside_a_lone_file(write: Write) -> None:
    write("p/train.py", GOOD.split("    def tune", maxsplit=1)[0])
    source = """
        from train import train

        def tune(hyperparameter, run, dataset, checkpoint, **kwargs):
            yield train(run, dataset, hyperparameter, checkpoint, **kwargs)
    """
    write("p/tune.py", source)
    check_called(load_plugin(write("p/config.yaml", "actions: {train: {entrypoint: train.train}}").parent))


def test_the_platforms_form_without_tune_trains_only(write: Write) -> None:
    source = "from library import tune\ndef train(run, dataset, hyperparameter, checkpoint): ..."
    write("p/plugin/train.py", source)
    write("p/library/__init__.py")
    write("p/library/tune.py")
    assert not load_plugin(write("p/config.yaml", CONFIG).parent).has("tune")


def test_config_yaml_is_read_as_yaml_1_2(write: Write) -> None:
    write("p/plugin/train.py", GOOD)
    assert load_plugin(write("p/config.yaml", f"code: yes\n{CONFIG}").parent).name == "yes"


def test_the_last_of_repeated_keys_in_config_yaml_counts_as_for_the_platform(write: Write) -> None:
    write("p/plugin/train.py", GOOD)
    assert load_plugin(write("p/config.yaml", f"code: one\ncode: two\n{CONFIG}").parent).name == "two"


def test_a_config_yaml_of_a_packages_own_is_no_platform_form(write: Write) -> None:
    write("p/config.yaml", "lr: 0.1")
    check_called(load_plugin(write("p/__init__.py", GOOD).parent))


@pytest.mark.parametrize("kind", ["module", "class", "instance"])
def test_a_live_object_loads(kind: str) -> None:
    module = types.ModuleType("live")
    exec(textwrap.dedent(GOOD), module.__dict__)
    plugin = load_plugin({"module": module, "class": Marked, "instance": Marked()}[kind])
    check_called(plugin)
    assert plugin.get_recipe() is None
    assert load_plugin(plugin) is plugin


def test_a_marked_module_function_may_have_another_name(write: Write) -> None:
    plugin = load_plugin(
        write(
            "p.py",
            """
            from trialrun_hookspecs.markers import hookimpl

            @hookimpl(specname="train")
            def fit(run, dataset, hyperparameter, checkpoint):
                return "fit"

            def train(model):
                return "a helper"
            """,
        )
    )
    assert plugin.train(1, 2, 3, 4) == "fit"


def test_what_a_plugin_imports_is_not_taken_for_its_hook(
    write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write("lib/library/__init__.py", "def report(metrics, *, checkpoint=None): ...\ndef datasets(root, split): ...")
    write("lib/library/tune.py")
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    source = "from library import tune, report, datasets\ndef train(run, dataset, hyperparameter, checkpoint): ..."
    plugin = load_plugin(write("p.py", source))
    assert set(plugin.hooks) == {"train"}


def test_what_a_plugin_takes_from_its_own_files_is_its_hook(write: Write) -> None:
    write("helper.py", "def report(event): ...")
    source = "from helper import report\ndef train(run, dataset, hyperparameter, checkpoint): ..."
    assert load_plugin(write("plugin.py", source)).has("report")


# -- side by side, again, elsewhere


def test_plugins_of_one_name_stand_side_by_side(write: Write) -> None:
    late = "def train(run, dataset, hyperparameter, checkpoint):\n    from helper import WHO\n    return WHO\n"
    for who in ("a", "b"):
        write(f"{who}/helper.py", f"WHO = {who!r}")
    a, b = load_plugin(write("a/plugin.py", late)), load_plugin(write("b/plugin.py", late))
    assert [plugin.train(1, 2, 3, 4) for plugin in (a, b, a, b)] == ["a", "b", "a", "b"]


def test_platform_forms_stand_side_by_side(write: Write) -> None:
    plugins = []
    for who in ("a", "b"):
        write(f"{who}/plugin/late.py", f"WHO = {who!r}")
        write(
            f"{who}/plugin/train.py",
            """
            def train(run, dataset, hyperparameter, checkpoint):
                from plugin.late import WHO
                return WHO
            """,
        )
        plugins.append(load_plugin(write(f"{who}/config.yaml", CONFIG).parent))
    assert [plugin.train(1, 2, 3, 4) for plugin in [*plugins, *plugins]] == ["a", "b", "a", "b"]


def test_loading_again_gives_the_content_of_now(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    source = "from helper import X\ndef train(run, dataset, hyperparameter, checkpoint): return (X, {})"
    for digit in range(5):  # the same size within the same second: cached bytecode would not be seen to be old
        write("helper.py", f"X = {digit}")
        plugin = load_plugin(write("plugin.py", source.format(digit)))
        assert plugin.train(1, 2, 3, 4) == (digit, digit)


def test_a_file_beside_a_plugin_does_not_hide_the_standard_library(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("random.py", "raise RuntimeError('this is not the standard library')")
    monkeypatch.delitem(sys.modules, "random")
    check_called(load_plugin(write("plugin.py", "import random\nrandom.random()\n" + textwrap.dedent(GOOD))))


def test_a_data_folder_beside_a_plugin_does_not_hide_a_library(
    write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write("lib/library_x/__init__.py", GOOD)
    write("p/library_x/image.txt")
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    check_called(load_plugin(write("p/plugin.py", "from library_x import train, tune")))


def test_a_plugin_keeps_the_state_of_its_modules_while_another_is_used(write: Write) -> None:
    count = """
        def train(run, dataset, hyperparameter, checkpoint):
            import helper
            helper.N += 1
            return helper.N
    """
    for who in ("a", "b"):
        write(f"{who}/helper.py", "N = 0")
    a, b = load_plugin(write("a/plugin.py", count)), load_plugin(write("b/plugin.py", count))
    assert [plugin.train(1, 2, 3, 4) for plugin in (a, b, a, b)] == [1, 1, 2, 2]


def test_a_folder_of_trialrun_itself_is_not_imported_anew() -> None:
    package = sys.modules["trialrun.plugins"]
    with pytest.raises(PluginRefused):
        load_plugin(Path(package.__file__ or "").parents[1])
    assert sys.modules["trialrun.plugins"] is package


def test_a_module_imported_by_others_is_not_lost(write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write("shared_pkg/__init__.py")
    write("shared_pkg/other.py")
    path = write("shared_pkg/plugin.py", GOOD)
    monkeypatch.syspath_prepend(str(tmp_path))
    import shared_pkg.other as other  # type: ignore[import-not-found]

    load_plugin(path)
    assert sys.modules["shared_pkg.other"] is other


def recipes(write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Plugin]:
    write("p/config.yaml", CONFIG)
    write("p/plugin/train.py", GOOD)
    write("acme_good.py", GOOD)
    install(write, monkeypatch, tmp_path, "good = acme_good")
    return [
        load_plugin(write("a/plugin.py", GOOD)),
        load_plugin(write("my_package/__init__.py", GOOD).parent),
        load_plugin(tmp_path / "p"),
        load_plugin("acme_good"),
        load_plugin("good"),
    ]


def test_a_recipe_loads_in_another_process(write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plugins = recipes(write, monkeypatch, tmp_path)
    stored = write("recipes.pickle")
    stored.write_bytes(pickle.dumps([plugin.get_recipe() for plugin in plugins]))
    program = (
        "import pickle, sys; from trialrun.plugins import load_recipe\n"
        "for recipe in pickle.load(open(sys.argv[1], 'rb')):\n"
        "    print(load_recipe(recipe).train('R', 'D', 'H', 'C', extra=1))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(stored)], capture_output=True, text=True, cwd="/", check=False, timeout=60
    )
    assert done.stdout.splitlines() == [str(ANSWER)] * len(plugins), done.stderr


def test_a_recipe_gives_the_same_plugin_within_a_process(write: Write) -> None:
    plugin = load_plugin(write("plugin.py", GOOD))
    recipe = plugin.get_recipe()
    assert recipe is not None
    assert load_recipe(recipe) is plugin
    assert pickle.loads(pickle.dumps(plugin)) is plugin


def test_what_a_plugin_defines_can_be_pickled_by_a_child_process(write: Write) -> None:
    plugin = load_plugin(write("rows_of_mine.py", "class Row:\n    pass\n" + textwrap.dedent(GOOD)))
    program = "import pickle, sys; sys.path += eval(sys.argv[1]); print(pickle.loads(eval(sys.argv[2])))"
    row = repr(pickle.dumps(plugin.code.Row()))
    done = subprocess.run(
        [sys.executable, "-c", program, repr(sys.path), row], capture_output=True, text=True, check=False, timeout=60
    )
    assert "rows_of_mine.Row" in done.stdout, done.stderr


def test_a_live_object_travels_as_itself() -> None:
    class Local:
        @hookimpl
        def train(self, run: Any, dataset: Any, hyperparameter: Any, checkpoint: Any) -> Any:
            return run

    moved = pickle.loads(cloudpickle.dumps(load_plugin(Local())))
    assert moved.train(1, 2, 3, 4) == 1


# -- absent


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("", "must be named"),
        ("   ", "must be named"),
        ("a\0b", "must be named"),
        ("./plugn.py", "Did you mean '{tmp}/plugin.py'?"),
        ("./plugin", "Did you mean '{tmp}/plugin.py'?"),
        ("nowhere/at/all.py", "does not exist either"),
        ("./notes.txt", "must be a .py file"),
        ("./data", "must be a .py file"),
        ("data", "which has no __init__.py"),
        ("./" + "x" * 300 + ".py", "must be a file or folder"),
        ("~nobody_of_that_name/x.py", "must be a file or folder"),
        ("a..b", "no dotted path"),
        ("package.module:", "no dotted path"),
        ("plugin x", "no dotted path"),
        ("no_such_module_here", "no module 'no_such_module_here'"),
        ("plugn", "Did you mean './plugin.py'?"),
        ("package.modul", "Did you mean 'package.module'?"),
        ("package.module.Thing", "Did you mean 'package.module:Thing'?"),
        ("package.module:Think", "Did you mean 'Thing'?"),
        ("package.module.more.still", "no module 'package.module.more'"),
        ("good-on", "Did you mean 'good-one'?"),
    ],
)
def test_an_absent_plugin_is_said_to_be_absent(
    write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, spec: str, said: str
) -> None:
    write("plugin.py", GOOD)
    write("notes.txt")
    write("data/rows.csv")
    write("package/__init__.py")
    write("package/module.py", "class Thing: ...")
    install(write, monkeypatch, tmp_path, "good-one = plugin")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PluginAbsent) as caught:
        load_plugin(spec)
    assert said.format(tmp=tmp_path) in str(caught.value)


# -- broken


def test_a_missing_module_inside_a_module_is_no_absent_plugin(
    write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write("outer_one/__init__.py")
    write("outer_one/module.py", "\nimport outer_one.missing\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(PluginBroken) as caught:
        load_plugin("outer_one.module")
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)
    assert f"{tmp_path / 'outer_one' / 'module.py'}:2" in str(caught.value)
    assert "own module 'outer_one.missing'" in str(caught.value)


def test_the_line_reported_is_in_the_plugins_own_files(write: Write) -> None:
    helper = write("helper.py", "import json\n\nX = json.loads('{')")
    with pytest.raises(PluginBroken, match="JSONDecodeError") as caught:
        load_plugin(write("plugin.py", "import helper"))
    assert f"{helper}:3" in str(caught.value)


@pytest.mark.parametrize(("module", "package"), [("sklearn", "scikit-learn"), ("tensorboardX", "tensorboardX")])
def test_a_missing_library_comes_with_what_to_install(
    write: Write, monkeypatch: pytest.MonkeyPatch, module: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(PluginBroken, match=f"pip install {package}$"):
        load_plugin(write("plugin.py", f"from {module}.linear import X"))


def test_a_broken_plugin_can_be_mended_and_loaded_again(write: Write) -> None:
    path = write("plugin.py", "import helper")
    write("helper.py", "1 / 0")
    with pytest.raises(PluginBroken, match="ZeroDivisionError"):
        load_plugin(path)
    write("helper.py", GOOD)
    write("plugin.py", "from helper import train, tune")
    check_called(load_plugin(path))


def test_a_platform_form_whose_name_is_taken_is_refused(write: Write) -> None:
    write("p/pytest/train.py", GOOD)
    with pytest.raises(PluginBroken, match="'pytest' must be free"):
        load_plugin(write("p/config.yaml", "actions: {train: {entrypoint: pytest.train.train}}").parent)


def test_a_tune_beside_whose_name_is_taken_is_not_passed_over(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tune", types.ModuleType("tune"))
    write("p/train.py", GOOD)
    write("p/tune.py", GOOD)
    with pytest.raises(PluginBroken, match="'tune' must be free"):
        load_plugin(write("p/config.yaml", "actions: {train: {entrypoint: train.train}}").parent)


def test_keyboard_interrupt_is_nobodys_fault(write: Write) -> None:
    with pytest.raises(KeyboardInterrupt):
        load_plugin(write("plugin.py", "raise KeyboardInterrupt"))


# -- refused


def test_a_plugin_with_extensions_only_may_not_train(write: Write) -> None:
    path = write("plugin.py", "def report(event): ...")
    plugin = load_plugin(path)
    with pytest.raises(PluginRefused, match="must have `train"):
        plugin.require_train()
    with pytest.raises(PluginRefused, match="must have `train"):
        load_plugin(path, need_train=True)
    with pytest.raises(PluginRefused, match="must have `train"):
        load_plugin(plugin, need_train=True)
    with pytest.raises(PluginRefused, match=r"must have tune\(\)"):
        plugin.tune(1, 2, 3, 4)


def test_a_package_that_forgot_to_offer_its_train_is_told_how(write: Write) -> None:
    write("p/train.py", GOOD)
    with pytest.raises(PluginRefused, match=r"from \.train import train"):
        load_plugin(write("p/__init__.py").parent)


def test_a_module_whose_class_has_the_hooks_is_told_so(write: Write) -> None:
    source = """
        from trialrun_hookspecs.markers import hookimpl
        class Mine:
            @hookimpl
            def train(self, run, dataset, hyperparameter, checkpoint): ...
    """
    with pytest.raises(PluginRefused, match="pass `plugin:Mine`"):
        load_plugin(write("plugin.py", source))


@pytest.mark.parametrize("thing", [None, 3, {}, len, object()])
def test_an_object_without_hooks_is_refused(thing: object) -> None:
    with pytest.raises(PluginRefused, match="must implement a hook"):
        load_plugin(thing)


def test_two_installed_plugins_of_one_name_are_refused(
    write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(write, monkeypatch, tmp_path, "twin = one_module")
    install(write, monkeypatch, tmp_path, "twin = two_module", name="other")
    with pytest.raises(PluginRefused, match="one_module and two_module"):
        load_plugin("twin")


def test_a_plugin_loads_while_another_thread_imports(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    is_within = module_isolation._is_within_modules

    def import_meanwhile(name: str, *modules: Any) -> bool:
        monkeypatch.setitem(sys.modules, f"imported_before_{name}", types.ModuleType("other"))
        return is_within(name, *modules)

    monkeypatch.setattr(module_isolation, "_is_within_modules", import_meanwhile)
    assert load_plugin(write("p.py", GOOD)).has("train")
