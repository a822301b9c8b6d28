"""Modules become one script, or are refused."""

from __future__ import annotations

import re

import pytest

from trialrun.web import STATIC
from trialrun.web.bundle import bundle_modules
from trialrun_hookspecs.errors import BadValue


def test_a_module_comes_once_and_after_what_it_needs() -> None:
    sources = {
        "main.js": 'import { a } from "./x/a.js";\nimport { b as c } from "./b.js";\na(c);\n',
        "x/a.js": 'import { b } from "../b.js";\nexport function a() { return b; }\n',
        "b.js": "export const b = 1;\nexport async function later() {}\nexport class C {}\n",
    }
    made = bundle_modules(sources, "main.js")
    assert re.findall(r"// (\S+\.js)$", made, re.MULTILINE) == ["b.js", "x/a.js", "main.js"]
    assert "const { b: c } = modules[0];" in made
    assert "return { b, later, C };" in made
    assert not re.search(r"^(import|export)", made, re.MULTILINE)


@pytest.mark.parametrize(
    "line",
    [
        "import * as x from './b.js';",
        "export default 1;",
        "export { b };",
        'const x = import("./b.js");',
        'import "./b.js";',
    ],
)
def test_another_form_is_refused(line: str) -> None:
    with pytest.raises(BadValue, match="by name"):
        bundle_modules({"main.js": line, "b.js": ""}, "main.js")


def test_an_absent_module_is_named() -> None:
    with pytest.raises(BadValue, match=r"lost\.js"):
        bundle_modules({"main.js": 'import { a } from "./lost.js";'}, "main.js")


def test_a_circle_is_refused() -> None:
    with pytest.raises(BadValue, match="circle"):
        bundle_modules({"a.js": 'import { b } from "./b.js";', "b.js": 'import { a } from "./a.js";'}, "a.js")


def test_the_page_s_own_modules_can_be_bundled() -> None:
    sources = {file.relative_to(STATIC).as_posix(): file.read_text("utf-8") for file in STATIC.rglob("*.js")}
    assert "modules[0]" in bundle_modules(sources, "app.js")
