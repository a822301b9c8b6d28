"""The plugins that installed distributions offer."""

from __future__ import annotations

from pathlib import Path

import pytest

from trialrun.plugins import discover_plugins, load_plugin
from trialrun_hookspecs.errors import PluginBroken, PluginRefused

from .conftest import Write


@pytest.fixture(autouse=True)
def installed(write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write("acme_fine.py", "def report(event): ...")
    write("acme_raises.py", "1 / 0")
    write("acme_misfit.py", "def train(x): ...")
    write("acme-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    points = ["fine = acme_fine", "raises = acme_raises", "misfit = acme_misfit", "gone = acme_gone", "odd = acme/odd"]
    write("acme-1.0.dist-info/entry_points.txt", "\n".join(["[trialrun]", *points]))
    monkeypatch.syspath_prepend(str(tmp_path))


def test_all_installed_plugins_are_listed_with_their_errors() -> None:
    found = {one.name: one for one in discover_plugins() if one.distribution == "acme"}
    assert {name: type(one.error) for name, one in found.items()} == {
        "fine": type(None),
        "raises": PluginBroken,
        "misfit": PluginRefused,
        "gone": PluginBroken,
        "odd": PluginBroken,
    }
    assert [name for name, one in found.items() if one.plugin is not None] == ["fine"]
    assert found["fine"].value == "acme_fine"


def test_a_listed_error_is_the_one_that_loading_raises() -> None:
    found = {one.name: one for one in discover_plugins()}
    with pytest.raises(PluginBroken) as caught:
        load_plugin("gone")
    assert str(caught.value) == str(found["gone"].error)
    assert "no module 'acme_gone'" in str(caught.value)
