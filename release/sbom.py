"""Writes what a build is made of, in CycloneDX 1.5, to standard output: `sbom.py NAME VERSION project.assets.json [RUNTIME]`.

RUNTIME is the version of .NET that lies beside the command; the one that is linked into the native command is known from NuGet.
"""
import base64
import json
import pathlib
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "python"))
from notices import LINKED, folder_of, load, shipped, target  # noqa: E402

RUNTIME = "Microsoft.NETCore.App.Runtime."
# What packages of NuGet bring that has a name of its own.
BRINGS = {"DuckDB.NET.Bindings.Full": "DuckDB", "libtorch-cpu-linux-x64": "PyTorch (libtorch)"}


def component(name, version, kind="library", **more):
    return {"type": kind, "name": name, "version": version, "purl": f"pkg:nuget/{name}@{version}", **more}


def package(document, key):
    """A package of NuGet; its digest is that of the .nupkg."""
    name, version = key.split("/")
    library = document["libraries"].get(key)  # What NuGet fetched for the compiler alone is not among them.
    digest = library["sha512"] if library else next(folder_of(document, key).glob("*.nupkg.sha512")).read_text(encoding="utf-8")
    more = {"hashes": [{"alg": "SHA-512", "content": base64.b64decode(digest).hex()}]}
    if name in BRINGS:
        more["description"] = f"brings {BRINGS[name]}"
    return component(name, version, "framework" if name.startswith(LINKED) else "library", **more)


def sbom(name, version, assets, runtime=None):
    document = load(assets)
    components = [package(document, key) for key in shipped(document)]
    if runtime:
        beside = "the .NET runtime, in the folder dotnet"
        components.append(component(RUNTIME + target(document)[1], runtime, "framework", description=beside))
    return {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
            "metadata": {"component": {"type": "application", "name": name, "version": version,
                                       "licenses": [{"license": {"id": "Apache-2.0"}}]}},
            "components": components}


if __name__ == "__main__":
    json.dump(sbom(*sys.argv[1:]), sys.stdout, indent=2)
    print()
