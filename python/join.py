"""Prints a script as the build joins it: `python3 join.py run.py`, or `sitecustomize.py` for the hook.

The order of the parts is in parts.json. What the build fills in (@@NAME@@) comes from the C# sources.
"""
import importlib.util
import json
import pathlib
import re
import struct
import sys
import textwrap

HERE = pathlib.Path(__file__).resolve().parent
SOURCES = HERE.parent / "src"


def scripts():
    """By script, its parts in order."""
    return json.loads((HERE / "parts.json").read_text(encoding="utf-8"))


def join(script):
    """The text of a script."""
    return "\n\n".join(fill_in((HERE / part).read_text(encoding="utf-8")) for part in scripts()[script])


def fill_in(text):
    return re.sub("@@([A-Za-z.]+)@@", lambda match: placeholder(match.group(1)), text)


def placeholder(name):
    """The text in place of a placeholder."""
    if name == "Prologue":
        return prologue()
    if name == "PickledState":
        return pickled_state().hex()
    return source(name).read_text(encoding="utf-8")


def source(name):
    """The only file of a name in the C# sources, wherever it lies."""
    found = [path for path in SOURCES.rglob(name) if not {"bin", "obj"} & set(path.parts)]
    if len(found) != 1:
        raise SystemExit(f"there are {len(found)} files {name} in {SOURCES}")
    return found[0]


def prologue():
    """The fixed start of a program's text: the raw string `Prologue` of the generator."""
    text = source("ProgramGenerator.cs").read_text(encoding="utf-8")
    match = re.search(r'string Prologue =\s*"""\n(.*?)\n *"""', text, re.DOTALL)
    if match is None:
        raise SystemExit("ProgramGenerator.cs has no raw string Prologue")
    return textwrap.dedent(match.group(1))


def pickled_state():
    """The program's attributes, empty lists, as TorchScriptArchive.PickleState writes them."""
    def attribute(name, value):
        return b"X" + struct.pack("<I", len(name)) + name + value

    tensors = b"ctorch.jit._pickle\nbuild_tensorlist\n]\x85R"
    return (b"\x80\x02c__torch__\nBenchmark\n)\x81}(" + attribute(b"slots", tensors)
            + b"".join(attribute(name, b"]") for name in (b"devices", b"holds", b"kept")) + b"ub.")


def load(script, name):
    """The script as a module of a name, without a file: what it does when it starts is not done."""
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader=None))
    module.__file__ = str(HERE / script)
    sys.modules[name] = module
    exec(compile(join(script), str(HERE / script), "exec"), module.__dict__)
    return module


if __name__ == "__main__":
    sys.stdout.write(join(sys.argv[1] if len(sys.argv) > 1 else "run.py"))
