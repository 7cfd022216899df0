"""Writes what a project is made of, in CycloneDX 1.5: `sbom.py NAME VERSION project.assets.json`, to standard output."""
import base64
import json
import sys

# What packages of NuGet bring that has a name of its own.
BUNDLED = {"DuckDB.NET.Bindings.Full": "DuckDB", "libtorch-cpu-linux-x64": "PyTorch (libtorch)"}


def component(package, version, digest):
    """A package of NuGet; its digest is that of the .nupkg."""
    made = {"type": "library", "name": package, "version": version, "purl": f"pkg:nuget/{package}@{version}",
            "hashes": [{"alg": "SHA-512", "content": base64.b64decode(digest).hex()}]}
    if package in BUNDLED:
        made["description"] = f"brings {BUNDLED[package]}"
    return made


def main(name, version, assets):
    with open(assets, encoding="utf-8") as file:
        libraries = json.load(file)["libraries"]
    packages = [component(*key.split("/"), library["sha512"]) for key, library in sorted(libraries.items())
                if library["type"] == "package"]
    document = {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
                "metadata": {"component": {"type": "application", "name": name, "version": version,
                                           "licenses": [{"license": {"id": "Apache-2.0"}}]}},
                "components": packages}
    json.dump(document, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main(*sys.argv[1:])
