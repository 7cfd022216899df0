"""Writes the notices of what a build has of other projects: `notices.py project.assets.json`, to standard output.

They are those of the NuGet packages that it has parts of: what each says of its licence, and the texts that lie in it. Of .NET itself,
they are the SDK's licence, and those of the package of its runtime that is linked into the native command.
"""
import json
import pathlib
import re
import shutil
import sys

TEXTS = re.compile(r"(LICENSE|LICENCE|NOTICE|THIRD-?PARTY)", re.IGNORECASE)
FIELDS = ("license", "licenseUrl", "copyright", "authors", "projectUrl")
FILES = ("runtime", "native", "resource", "runtimeTargets")  # Kinds of files of a package that a build has; others are for building.
LINKED = "Microsoft.NETCore.App.Runtime.NativeAOT."


def load(assets):
    return json.loads(pathlib.Path(assets).read_text(encoding="utf-8"))


def target(document):
    """What the build has of each package, and the system that it is for ("linux-x64"); "" where it is for any."""
    name = max(document["targets"], key=lambda name: "/" in name)
    return document["targets"][name], name.partition("/")[2]


def shipped(document):
    """The packages that a build has parts of, as "name/version"."""
    keys = [key for key, package in target(document)[0].items() if package["type"] == "package"
            and any(not path.endswith("/_._") for kind in FILES for path in package.get(kind, ()))]
    linked = [f"{package['name']}/{package['version'].strip('[]').split(',')[0]}"
              for framework in document["project"]["frameworks"].values() for package in framework.get("downloadDependencies", ())
              if package["name"].startswith(LINKED)]
    return sorted(keys + linked, key=str.lower)


def folder_of(document, key):
    """Where NuGet has put a package."""
    places = [pathlib.Path(folder) / key.lower() for folder in document["packageFolders"]]
    found = next((place for place in places if place.is_dir()), None)
    if found is None:
        raise SystemExit(f"the package {key} is not in {' or '.join(map(str, places))}: restore first")
    return found


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
    document = load(assets)
    sections = [section(folder_of(document, key), key) for key in shipped(document)]
    about = ("A package without a text of its own is under the licence that its line names, with its copyright: MIT is the text of .NET "
             "below; BSD-3-Clause of Protocol Buffers is https://github.com/protocolbuffers/protobuf/blob/main/LICENSE.")
    head = ["# Third-party notices",
            "The builds of the command have parts of these projects in them, unchanged, each under its own licence."]
    return "\n\n".join([*head, about, *framework_licence(), *sections]) + "\n"


if __name__ == "__main__":
    sys.stdout.write(notices(sys.argv[1]))
