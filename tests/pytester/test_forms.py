"""The three forms in which a test file, a class or a configuration asks for the checks."""

from __future__ import annotations

import pytest

from .conftest import TEST_FILE, Ran

IDS = ["TR190", "TR191", "TR192", "TR193", "TR194"]


def test_an_object_is_one_item_per_check(project: pytest.Pytester, ran: Ran) -> None:
    project.makepyfile(test_it=TEST_FILE)
    result = ran("--collect-only", "-q")
    assert [line for line in result.outlines if "::" in line] == [
        f"test_it.py::test_conformance::{name}" for name in IDS
    ]
    assert result.ret == 0


def test_a_node_id_runs_one_check(project: pytest.Pytester, ran: Ran) -> None:
    project.makepyfile(test_it=TEST_FILE)
    result = ran("test_it.py::test_conformance::TR191", "-v")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["test_it.py::test_conformance::TR191 PASSED*", "*PARTIAL*plug*"])
    assert result.ret == 0


@pytest.mark.parametrize("mode", ["importlib", "prepend", "append"])
@pytest.mark.parametrize("where", ["", "tests/", "src/deep/tests/"])
def test_the_plugin_is_found_from_the_project(project: pytest.Pytester, ran: Ran, mode: str, where: str) -> None:
    project.makepyfile(**{f"{where}test_it": TEST_FILE})
    project.makepyprojecttoml('[project]\nname = "x"\n')
    result = ran(f"--import-mode={mode}")
    result.assert_outcomes(passed=4, skipped=1)
    assert result.ret == 0


def test_the_plugin_is_found_beside_the_test(project: pytest.Pytester, ran: Ran) -> None:
    (project.path / "sub").mkdir()
    (project.path / "plug.py").rename(project.path / "sub" / "mine.py")
    project.makepyfile(**{"sub/test_it": TEST_FILE.replace("plug", "mine")})
    ran().assert_outcomes(passed=4, skipped=1)


def test_an_imported_module_is_a_plugin(project: pytest.Pytester, ran: Ran) -> None:
    project.makepyfile(
        test_it="import plug\nfrom trialrun.testing import conformance\ntest_conformance = conformance(plug)"
    )
    ran().assert_outcomes(passed=4, skipped=1)


def test_a_class_has_checks_and_tests_of_its_own(project: pytest.Pytester, ran: Ran) -> None:
    project.makepyfile(
        test_it="""
        import pytest, plug
        from trialrun.testing import TrainPluginSuite

        class TestMine(TrainPluginSuite):
            plugin = plug

            @pytest.fixture(autouse=True)
            def each(self, tmp_path):
                print("fixture ran")

            def test_other(self):
                assert self.plugin is plug

            def test_conformance(self):
                raise AssertionError("takes the place of no check")
        """
    )
    listed = ran("--collect-only", "-q")
    nodes = [line for line in listed.outlines if "::" in line]
    assert nodes == [*(f"test_it.py::TestMine::{name}" for name in IDS), "test_it.py::TestMine::test_other"]
    result = ran("-rP", "test_it.py")
    result.assert_outcomes(passed=5, skipped=1)
    assert result.stdout.str().count("fixture ran") == 5  # the sixth is skipped, and -rP does not show it


def test_a_configuration_is_enough(project: pytest.Pytester, ran: Ran) -> None:
    project.makepyprojecttoml('[tool.trialrun]\nplugin = "./plug.py"\n')
    project.makepyfile(**{"tests/test_other": "def test_other(): pass"})
    result = ran("--trialrun", "tests", "-v")
    result.assert_outcomes(passed=5, skipped=1)
    result.stdout.fnmatch_lines(["trialrun: contract *", "*pyproject.toml::TR190 PASSED*", "*PARTIAL*"])
    assert ran("pyproject.toml::TR190").parseoutcomes() == {"passed": 1}
    without = ran("tests")
    assert without.parseoutcomes() == {"passed": 1}
    without.stdout.no_fnmatch_line("*trialrun: *")


def test_a_configuration_that_names_no_plugin_is_refused(project: pytest.Pytester, ran: Ran) -> None:
    project.makepyprojecttoml("[tool.other]\n")
    result = ran("--trialrun")
    assert result.ret == pytest.ExitCode.INTERRUPTED  # an error of the collection
    result.stdout.fnmatch_lines(["*plugin: a plugin must be named*"])


def test_without_a_configuration_the_option_is_refused(project: pytest.Pytester, ran: Ran) -> None:
    result = ran("--trialrun")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--trialrun: *pyproject.toml is not there*"])


def test_settings_come_from_a_fixture(project: pytest.Pytester, ran: Ran) -> None:
    project.makepyfile(
        test_it=TEST_FILE
        + """
import pytest

@pytest.fixture(scope="module")
def rows():
    return [{"category": "train", "data": {"x": 1.0}}]

@pytest.fixture(scope="session")
def trialrun_settings():
    return {"hyperparameter": {"epochs": 3}, "metric": 5}
"""
    )
    result = ran("test_it.py::test_conformance::TR190")
    assert result.ret != 0
    result.stdout.fnmatch_lines(["*settings.metric: must be a word, got 5*"])


def test_marks_and_fixtures_of_the_file_apply(project: pytest.Pytester, ran: Ran) -> None:
    project.makepyfile(
        test_it="""
        import pytest
        from trialrun.testing import conformance

        pytestmark = pytest.mark.usefixtures("needed")
        test_conformance = pytest.mark.trialrun_core(conformance("./plug.py", select=["TR191"]))

        @pytest.fixture
        def needed(monkeypatch):
            monkeypatch.setenv("BROKEN", "1")
        """
    )
    result = ran("-m", "trialrun_core")
    result.assert_outcomes(failed=1)


def test_without_our_plugin_the_object_is_one_test(project: pytest.Pytester, ran: Ran) -> None:
    project.makeini("[pytest]\n")
    project.makepyfile(
        test_it="""
        from trialrun.testing import TrainPluginSuite, check_plugin, conformance

        test_conformance = conformance("./plug.py", select=["TR190", "TR191"])

        class TestMine(TrainPluginSuite):
            plugin = "./plug.py"
            select = ["TR190"]

        def test_plainly():
            assert check_plugin("./plug.py", select=["TR190"]).exit_code == 0
        """
    )
    ran("-p", "no:trialrun", "-W", "error").assert_outcomes(passed=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BROKEN", "1")
        result = ran("-p", "no:trialrun")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*NOT CONFORMANT*", "*TR191  fails*", "*it is broken*", "*mend it*"])


def test_strict_mode_has_nothing_to_say(project: pytest.Pytester, ran: Ran) -> None:
    if pytest.version_tuple < (9, 0):
        pytest.skip("strict is an option of pytest 9")
    with (project.path / "tox.ini").open("a") as ini:
        ini.write("strict = true\n")
    project.makepyfile(test_it=TEST_FILE)
    ran("-W", "error").assert_outcomes(passed=4, skipped=1)
