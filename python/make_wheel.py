"""Makes a wheel of the native command: `make_wheel.py NATIVE OUTPUT ASSETS`, the folders of the command and of the wheel, and what NuGet
restored for it (project.assets.json), whose notices go in.

It needs no network, and no package. The same input gives the same file.
"""
import base64
import hashlib
import pathlib
import re
import sys
import zipfile

from notices import notices

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
NEEDED = (2, 31)  # glibc; wheel/launcher.py looks for it.
MACHINES = {b"\x3e\x00": "x86_64", b"\xb7\x00": "aarch64"}  # e_machine of ELF.
EPOCH = (1980, 1, 1, 0, 0, 0)


def version():
    return re.search(r"<Version>(.+?)</Version>", (ROOT / "Directory.Build.props").read_text(encoding="utf-8")).group(1)


def machine(program):
    """The processor that a program is for."""
    head = program[:20]
    if head[:4] != b"\x7fELF" or head[18:20] not in MACHINES:
        raise SystemExit("the native command is no ELF file of a known processor")
    return MACHINES[head[18:20]]


def newest_glibc(program):
    """The newest version of glibc that a program names."""
    return max((tuple(map(int, found)) for found in re.findall(rb"\0GLIBC_(\d+)\.(\d+)(?=[.\0])", program)), default=(0, 0))


def metadata():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    head = ["Metadata-Version: 2.1", "Name: mystique", f"Version: {version()}",
            "Summary: Turns a PyTorch execution trace into a benchmark that anyone can run", "License: Apache-2.0",
            "Keywords: pytorch,benchmark,performance,execution-trace", "Classifier: License :: OSI Approved :: Apache Software License",
            "Classifier: Operating System :: POSIX :: Linux", "Requires-Python: >=3.7", "Description-Content-Type: text/markdown"]
    return "\n".join(head) + "\n\n" + readme


def contents(native, tag, assets):
    """The files, by their names in the wheel: bytes, and whether they are programs."""
    info = f"mystique-{version()}.dist-info"
    files = {f"mystique/{part.name}": (part.read_bytes(), False) for part in sorted((HERE / "wheel").glob("*.py"))}
    files.update({f"mystique/bin/{part.name}": (part.read_bytes(), part.name == "mystique") for part in sorted(native.iterdir())})
    texts = {
        "METADATA": metadata(),
        "WHEEL": f"Wheel-Version: 1.0\nGenerator: make_wheel {version()}\nRoot-Is-Purelib: false\nTag: {tag}\n",
        "entry_points.txt": "[console_scripts]\nmystique = mystique.launcher:main\n",
        "licenses/LICENSE": (ROOT / "LICENSE").read_text(encoding="utf-8"),
        "licenses/THIRD-PARTY-NOTICES.md": notices(assets),
    }
    files.update({f"{info}/{name}": (text.encode(), False) for name, text in texts.items()})
    record = "".join(f"{name},sha256={digest(data)},{len(data)}\n" for name, (data, _) in files.items()) + f"{info}/RECORD,,\n"
    return {**files, f"{info}/RECORD": (record.encode(), False)}


def digest(data):
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def main(native, output, assets):
    programs = {part.name: part.read_bytes() for part in native.iterdir()}
    for name, program in programs.items():
        if newest_glibc(program) > NEEDED:
            raise SystemExit(f"{name} needs glibc {newest_glibc(program)}: docs/install.md says how that is kept old")
    tag = f"py3-none-manylinux_{NEEDED[0]}_{NEEDED[1]}_{machine(programs['mystique'])}"
    output.mkdir(parents=True, exist_ok=True)
    wheel = output / f"mystique-{version()}-{tag}.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, (data, is_program) in contents(native, tag, assets).items():
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o100755 if is_program else 0o100644) << 16
            archive.writestr(entry, data)
    print(f"wrote {wheel}")


if __name__ == "__main__":
    main(*(pathlib.Path(argument) for argument in sys.argv[1:]))
