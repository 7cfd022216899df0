"""Writes the notices of what a build has of other projects: `notices.py project.assets.json`, to standard output.

They are those of the NuGet packages that it was made of: what each says of its licence, and the texts that lie in it. Of .NET itself,
which is linked into the native command, they are its compiler's package and the SDK's licence.
"""
import json
import pathlib
import re
import shutil
import sys

TEXTS = re.compile(r"(LICENSE|LICENCE|NOTICE|THIRD-?PARTY)", re.IGNORECASE)
FIELDS = ("license", "licenseUrl", "copyright", "authors", "projectUrl")
NOT_SHIPPED = ("Microsoft.CodeAnalysis", "Microsoft.NET.ILLink", "Microsoft.SourceLink", "Microsoft.Build")


def field(nuspec, name):
    found = re.search(rf"<{name}(?:\s[^>]*)?>([^<]*)</{name}>", nuspec)
    return found.group(1).strip() if found else ""


def section(folder, key):
    """A package: what its description says, and the texts in it."""
    nuspec = next(folder.glob("*.nuspec")).read_text(encoding="utf-8-sig", errors="replace")
    lines = [f"## {key.replace('/', ' ')}", ""]
    lines += [f"- {name}: {field(nuspec, name)}" for name in FIELDS if field(nuspec, name)]
    for path in sorted(p for p in folder.iterdir() if p.is_file() and TEXTS.match(p.name)):
        lines += ["", f"### {path.name}", "", "```", path.read_text(encoding="utf-8-sig", errors="replace").rstrip(), "```"]
    return "\n".join(lines)


def framework_licence():
    """The licence of .NET, from the SDK."""
    command = shutil.which("dotnet")
    folder = pathlib.Path(command).resolve().parent if command else None
    found = [p for p in (folder.iterdir() if folder else ()) if p.name.lower() == "license.txt"]
    return ["\n".join(["## .NET", "", "```", found[0].read_text(encoding="utf-8-sig").rstrip(), "```"])] if found else []


def notices(assets):
    document = json.loads(pathlib.Path(assets).read_text(encoding="utf-8"))
    folders = [pathlib.Path(folder) for folder in document["packageFolders"]]
    keys = {key for key, library in document["libraries"].items() if library["type"] == "package"}
    sections = []
    for key in sorted(keys, key=str.lower):
        folder = next((f / key.lower() for f in folders if (f / key.lower()).is_dir()), None)
        if folder and not key.startswith(NOT_SHIPPED):
            sections.append(section(folder, key))
    return "\n\n".join(["# Third-party notices", "The builds of the command have parts of these projects in them, unchanged, each under "
                        "its own licence.", *framework_licence(), *sections]) + "\n"


if __name__ == "__main__":
    sys.stdout.write(notices(sys.argv[1]))
