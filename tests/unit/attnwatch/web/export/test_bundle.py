import base64
import hashlib
import json
import re

import pytest

from attnwatch.web.export.bundle import copied_files, index_page, rewritten
from attnwatch.web.package import static_files


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('import { a } from "./b.js";', 'import { a } from "attnwatch/grid/b.js";'),
        ("export { a } from '../dom.js';", "export { a } from 'attnwatch/dom.js';"),
        ('import "../maps/index.js";', 'import "attnwatch/maps/index.js";'),
        ('const text = "./b.js";', 'const text = "./b.js";'),
    ],
)
def test_a_module_imports_others_by_names_of_the_map(source, expected):
    assert rewritten("grid/a.js", source) == expected


def test_every_module_that_is_imported_is_in_the_page_and_none_is_loaded_from_a_file():
    page = index_page()
    table = re.search(r'<script type="importmap">(.*?)</script>', page)[1]
    imports = json.loads(table)["imports"]
    assert imports.keys() == {f"attnwatch/{name}" for name in static_files() if name.endswith(".js")}
    for address in imports.values():
        source = base64.b64decode(address.removeprefix("data:text/javascript;base64,")).decode()
        assert not re.search(r"""(from|import)\s*["']\.""", source)
        named = re.findall(r"""\bfrom\s*["'](attnwatch/[^"']+)["']""", source)
        assert set(named) <= imports.keys()
    assert 'src="static/main.js"' not in page


def test_the_policy_of_a_page_allows_its_own_scripts_and_no_connection():
    page = index_page()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)[1]
    for script in re.findall(r"<script[^>]*>(.+?)</script>", page, re.DOTALL):
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert "connect-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


def test_styles_and_icons_are_copied_and_modules_are_not():
    names = [name for name, _ in copied_files()]
    assert "static/style/base.css" in names
    assert not [name for name in names if name.endswith((".js", ".html", ".ts"))]
