# SPDX-License-Identifier: Apache-2.0
"""What the documentation says is there: error texts, variables, commands and their options, files,
profiles, and Python names. No build is needed."""

import ast
import json
import pathlib
import re
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import api_reference  # noqa: E402

PAGES = [*ROOT.glob("*.md"), *ROOT.glob("runtime/docs/*.md"), *ROOT.glob("runtime/python/*.md"),
         *ROOT.glob("tools/*/README.md")]
COMMANDS = {"rmsnorm-aot": "tools/*.cc", "rmsnorm-bench": "tools/bench/*.cc",
            "bench.py": "tools/bench/**/*.py"}
SOURCE_FOLDERS = ("runtime", "cache", "templates", "tools")


def sources(*suffixes):
    return [path for folder in SOURCE_FOLDERS for path in (ROOT / folder).rglob("*")
            if path.suffix in suffixes]


def literals(path):
    """The text of a source file with adjacent string literals joined."""
    return re.sub(r"[\"']\s*\n?\s*f?[\"']", "", path.read_text(encoding="utf-8"))


def blocks(page):
    """The lines of a page's indented and fenced code, and of its inline code."""
    text = page.read_text(encoding="utf-8")
    return [line.strip() for line in text.splitlines() if line.startswith("    ")] + [
        line.strip() for fence in re.findall(r"```(?:sh|bash)?\n(.*?)```", text, re.S)
        for line in fence.splitlines()] + re.findall(r"`([^`\n]+)`", text)


class Docs(unittest.TestCase):
    def test_every_error_text_of_the_troubleshooting_page_is_in_a_source(self):
        page = (ROOT / "runtime/docs/troubleshooting.md").read_text(encoding="utf-8")
        texts = re.findall(r"^### `(.+)`$", page, re.M)
        self.assertGreater(len(texts), 15)
        known = "\n".join(literals(path) for path in sources(".cc", ".h", ".py"))
        for text in texts:
            self.assertIn(text, known)

    def test_every_variable_is_documented_and_every_documented_one_is_read(self):
        read = {name for path in (ROOT / "runtime").rglob("*.cc")
                for name in re.findall(r'"(RMSJIT_[A-Z_]+)"', path.read_text(encoding="utf-8"))}
        page = (ROOT / "runtime/docs/cache.md").read_text(encoding="utf-8")
        self.assertEqual(set(re.findall(r"^\| `(RMSJIT_[A-Z_]+)`", page, re.M)), read)

    def test_links_and_paths_lead_somewhere(self):
        for page in PAGES:
            text = page.read_text(encoding="utf-8")
            for link in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", text):
                if "://" not in link:
                    self.assertTrue((page.parent / link).exists(), f"{page}: {link}")
            if page.parent.name == "docs":
                folders = "runtime|tools|tests|templates|cache"
                for path in re.findall(rf"`((?:{folders})/[^`{{* ]+)`", text):
                    self.assertTrue((ROOT / path).exists(), f"{page}: {path}")

    def test_commands_and_their_options_exist(self):
        seen = 0
        for page in PAGES:
            for line in blocks(page):
                call = re.search(r"(?:^|/|\s)(rmsnorm-aot|rmsnorm-bench|bench\.py) +([a-z]+)(.*)",
                                 line.split("  #")[0])
                if call is None:
                    continue
                program, command, rest = call.groups()
                known = "\n".join(p.read_text(encoding="utf-8")
                                  for p in ROOT.glob(COMMANDS[program]))
                self.assertRegex(known, rf"\(\s*\"{command}\"|[\"']{command}[\"']",
                                 f"{page}: {line}")
                for option in re.findall(r"--[a-z-]+", rest):
                    self.assertIn(option, known, f"{page}: {line}")
                seen += 1
        self.assertGreater(seen, 20)

    def test_the_table_of_profiles_is_the_data(self):
        data = json.loads((ROOT / "tools/profiles/profiles.json").read_text(encoding="utf-8"))
        rows = []
        for profile in data["profiles"]:
            fields = {"add_round": "rounded", "mul_round": "once", **profile["all"],
                      **profile.get("add", {})}
            one_plus = {**fields, **profile.get("one_plus", {})}
            rows.append(f"| {profile['name']} | {fields['add_round']} | {fields['mul_round']} | "
                        f"{one_plus['mul_round']} |")
        page = (ROOT / "runtime/docs/numerics.md").read_text(encoding="utf-8")
        self.assertIn("\n".join(rows), page)

    def test_the_reference_is_what_its_generator_writes_and_holds_every_function(self):
        page = api_reference.PAGE.read_text(encoding="utf-8")
        self.assertTrue(page == api_reference.render(), "run tools/api_reference.py")
        c = (ROOT / "runtime/include/rmsjit/rmsjit_c.h").read_text(encoding="utf-8")
        names = re.findall(r"RMSJIT_API [^;]*?(rmsjit_\w+)\(", c)
        cpp = (ROOT / "runtime/include/rmsjit/rmsjit.h").read_text(encoding="utf-8")
        classes = re.findall(r"^class (\w+) \{\n public:(.*?)\n private:", cpp, re.S | re.M)
        for owner, body in classes:
            methods = re.findall(r"^  (?!explicit)[\w:<>*& ]+[ *](\w+)(?<!_)\(.*\{", body, re.M)
            names += [f"{owner}::{name}" for name in methods]
        package = ast.parse((ROOT / "runtime/python/rmsjit/__init__.py").read_text())
        names += [f"rmsjit.{name}" for name in ast.literal_eval(package.body[-1].value)
                  if name[0].islower() and name not in ("errors", "vllm")]
        self.assertGreater(len(names), 35)
        missing = [name for name in names if f"\n### `{name}`\n" not in page]
        self.assertEqual(missing, [])

    def test_python_blocks_name_what_the_package_has(self):
        package = ROOT / "runtime/python/rmsjit"
        public = {node.value for node in ast.walk(ast.parse((package / "__init__.py").read_text()))
                  if isinstance(node, ast.Constant)} | {p.stem for p in package.glob("[a-z]*.py")}
        used = set()
        for page in PAGES:
            for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S):
                for node in ast.walk(ast.parse(block)):
                    if (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
                            and node.value.id == "rmsjit"):
                        used.add(node.attr)
                    if isinstance(node, ast.ImportFrom) and node.module == "rmsjit":
                        used.update(alias.name for alias in node.names)
        self.assertGreater(len(used), 8)
        self.assertLessEqual(used, public)


if __name__ == "__main__":
    unittest.main()
