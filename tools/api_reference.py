#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes runtime/docs/api.md, the reference of the C, C++ and Python functions, from the comments
of the public headers and the docstrings of the package. tests/tools/docs_test.py fails when the
page is not what this writes.

    python3 tools/api_reference.py"""

import ast
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = ROOT / "runtime/docs/api.md"
HEADERS = ROOT / "runtime/include/rmsjit"
PACKAGE = ROOT / "runtime/python/rmsjit"

HEAD = """# API reference

Written by `tools/api_reference.py` from the headers and docstrings; do not edit.

"""


def prose(comment):
    """A comment's text without its marks."""
    lines = [re.sub(r"^\s*(//|/\*|\*)? ?", "", line) for line in comment.splitlines()]
    return re.sub(r"\s*\*/\s*$", "", "\n".join(lines)).strip()


def entry(name, text, code, language):
    # Formulas are indented in the comments; as a list they would be joined.
    text = re.sub(r"^ {2,}(.*\S)\s*$", r"`\1`", text, flags=re.M)
    body = f"### `{name}`\n\n" + (f"{text}\n\n" if text else "")
    return body + f"```{language}\n{code}\n```\n\n"


def c_entries():
    """Structs, callbacks and functions of rmsjit_c.h, in its order."""
    header = (HEADERS / "rmsjit_c.h").read_text(encoding="utf-8")
    conventions = re.search(r"/\* rmsjit: .*?\*/", header, re.S).group()
    yield prose(conventions).split("\n", 1)[1].strip() + "\n\n"
    pattern = re.compile(
        r"(?P<comment>/\*(?:(?!\*/).)*\*/\n)?"
        r"(?P<code>RMSJIT_API [^;]*?(?P<function>rmsjit_\w+)\([^;]*\);"
        r"|typedef void \(\*(?P<callback>rmsjit_\w+)\)[^;]*;"
        r"|typedef (?:struct|enum) \w+ \{.*?\n\} (?P<type>rmsjit_\w+);)",
        re.S)
    for match in pattern.finditer(header):
        name = match["function"] or match["callback"] or match["type"]
        comment, code = match["comment"] or "", match["code"]
        if code.startswith("RMSJIT_API "):
            code = re.sub(r"RMSJIT_API |(?<=\n) {11}", "", code)
        yield entry(name, "" if " --- " in comment else prose(comment),
                    code, "c")


def cpp_entries():
    """Types, methods and functions of rmsjit.h, in its order; what begins with cxx_ is internal."""
    header = (HEADERS / "rmsjit.h").read_text(encoding="utf-8")
    header = re.sub(r"namespace cxx_detail \{.*?\n\}  // namespace cxx_detail\n", "", header,
                    flags=re.S)
    header = re.sub(r"\n private:\n.*?\n\};", "\n};", header, flags=re.S)
    pattern = re.compile(r"(?P<comment>(?:^ *// .*\n)+)"
                         r"(?P<code>^ *(?:class|struct|inline|static|const|void|rmsjit_\w+\*"
                         r"|[A-Z]\w+(?:<\w+>)?) (?:= \{\}|[^;{])*)[;{]", re.M)
    owner = ""
    for match in pattern.finditer(header, header.index("namespace rmsjit {")):
        code = re.sub(r"\n +", " ", match["code"].strip())
        if code.startswith(("class ", "struct ")):
            owner = name = code.split()[1]
        else:
            function = re.search(r"(\w+)\(", code)[1]
            name = function if match["code"].startswith("inline") else f"{owner}::{function}"
        yield entry(name, prose(match["comment"]), code, "cpp")


def python_functions(module):
    tree = ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8"))
    return {node.name: node for node in tree.body
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name[0] != "_"}


def python_entries():
    """The functions of the package and of its public modules, then the exceptions."""
    public = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    names = ast.literal_eval(next(node.value for node in public.body
                                  if isinstance(node, ast.Assign)
                                  and getattr(node.targets[0], "id", "") == "__all__"))
    places = [("_surface", "rmsjit"), ("_runtime", "rmsjit"), ("vllm", "rmsjit.vllm"),
              ("transformers", "rmsjit.transformers"), ("sglang", "rmsjit.sglang"),
              ("vllm_plugin", "rmsjit.vllm_plugin")]
    for module, prefix in places:
        for name, node in python_functions(module).items():
            if prefix == "rmsjit" and name not in names:
                continue
            code = f"{prefix}.{name}"
            if isinstance(node, ast.FunctionDef):
                code += f"({ast.unparse(node.args)})"
            text, *examples = ast.get_docstring(node).split(">>> ")
            code = "\n".join(dict.fromkeys([code, *(example.strip() for example in examples)]))
            yield entry(f"{prefix}.{name}", text.strip(), code, "text")
    yield "Errors, all in `rmsjit.errors`:\n\n| class | bases | meaning |\n|---|---|---|\n"
    for name, node in python_functions("errors").items():
        if isinstance(node, ast.ClassDef):
            bases = ", ".join(ast.unparse(base) for base in node.bases)
            meaning = " ".join(ast.get_docstring(node).split())
            yield f"| `{name}` | {bases} | {meaning} |\n"


def render():
    return (HEAD + "## C: `rmsjit/rmsjit_c.h`\n\n" + "".join(c_entries())
            + "## C++: `rmsjit/rmsjit.h`\n\n" + "".join(cpp_entries())
            + "## Python\n\n" + "".join(python_entries())).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
