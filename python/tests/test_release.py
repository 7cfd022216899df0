import base64
import contextlib
import csv
import hashlib
import io
import json
import pathlib
import re
import sys
import zipfile

import make_wheel
import notices
from scripts import PYTHON, FolderTest

sys.path.append(str(PYTHON.parent / "release"))
import sbom  # noqa: E402

DIGEST = base64.b64encode(bytes(range(64))).decode()
NATIVE_RUNTIME = "Microsoft.NETCore.App.Runtime.NativeAOT.linux-x64"


class ReleaseTest(FolderTest):
    """A build's packages, as NuGet leaves them."""

    def package(self, key, **texts):
        name = key.split("/")[0]
        folder = self.folder / "packages" / key.lower()
        folder.mkdir(parents=True)
        (folder / f"{name.lower()}.nuspec").write_text(f"<package><license type='expression'>{name}-licence</license></package>")
        (folder / f"{key.lower().replace('/', '.')}.nupkg.sha512").write_text(DIGEST)
        for text, content in texts.items():
            (folder / f"{text}.txt").write_text(content)

    def assets(self, system="linux-x64", downloads=(), **packages):
        """A project.assets.json; of each package, the files that a build has of it."""
        files = {f"{name}/1.0": {"type": "package", **kinds} for name, kinds in packages.items()}
        document = {
            "targets": {"net10.0": {key: {"type": "package", "runtime": {"lib/any.dll": {}}} for key in files}},
            "libraries": {key: {"type": "package", "sha512": DIGEST} for key in files},
            "packageFolders": {str(self.folder / "packages"): {}},
            "project": {"frameworks": {"net10.0": {"downloadDependencies": [
                {"name": name, "version": "[1.0, 1.0]"} for name in downloads]}}}}
        if system:
            document["targets"][f"net10.0/{system}"] = files
        path = self.folder / "project.assets.json"
        path.write_text(json.dumps(document))
        return path


class NoticesTests(ReleaseTest):
    def test_have_what_is_shipped_and_not_what_builds(self):
        for key in ("A/1.0", "B/1.0", f"{NATIVE_RUNTIME}/1.0"):
            self.package(key, LICENSE=f"the text of {key}")
        path = self.assets(downloads=[NATIVE_RUNTIME, "Microsoft.NETCore.App.Crossgen2.linux-x64"], A={"runtime": {"lib/a.dll": {}}},
                           B={"native": {"b.so": {}}}, Compiler={"build": {"c.props": {}}}, Empty={"runtime": {"lib/_._": {}}})
        self.assertEqual(["A/1.0", "B/1.0", f"{NATIVE_RUNTIME}/1.0"], notices.shipped(notices.load(path)))
        text = notices.notices(path)
        self.assertEqual(["A 1.0", "B 1.0", f"{NATIVE_RUNTIME} 1.0"], [t for t in re.findall("^## (.*)$", text, re.M) if t != ".NET"])
        for key in ("A/1.0", "B/1.0", f"{NATIVE_RUNTIME}/1.0"):
            self.assertIn(f"the text of {key}", text)
        self.assertIn("license: A-licence", text)

    def test_package_that_is_not_there_is_an_error(self):
        with self.assertRaises(SystemExit):
            notices.notices(self.assets(A={"runtime": {"lib/a.dll": {}}}))


class SbomTests(ReleaseTest):
    def test_has_packages_with_digests_and_the_runtime_beside_the_command(self):
        path = self.assets(**{"libtorch-cpu-linux-x64": {"native": {"t.so": {}}}, "Compiler": {"build": {"c.props": {}}}})
        document = sbom.sbom("mystique", "0.1", path, "10.0.1")
        self.assertEqual(("CycloneDX", "1.5", 1), tuple(document[name] for name in ("bomFormat", "specVersion", "version")))
        self.assertEqual(("application", "mystique", "0.1"),
                         tuple(document["metadata"]["component"][name] for name in ("type", "name", "version")))
        library, runtime = document["components"]
        self.assertEqual({"type": "library", "name": "libtorch-cpu-linux-x64", "version": "1.0",
                          "purl": "pkg:nuget/libtorch-cpu-linux-x64@1.0", "description": "brings PyTorch (libtorch)",
                          "hashes": [{"alg": "SHA-512", "content": bytes(range(64)).hex()}]}, library)
        self.assertEqual(("framework", "pkg:nuget/Microsoft.NETCore.App.Runtime.linux-x64@10.0.1"), (runtime["type"], runtime["purl"]))

    def test_runtime_in_the_native_command_is_listed(self):
        self.package(f"{NATIVE_RUNTIME}/1.0")
        runtime, = sbom.sbom("mystique", "0.1", self.assets(downloads=[NATIVE_RUNTIME]))["components"]
        self.assertEqual(("framework", f"pkg:nuget/{NATIVE_RUNTIME}@1.0"), (runtime["type"], runtime["purl"]))
        self.assertEqual(bytes(range(64)).hex(), runtime["hashes"][0]["content"])


class WheelTests(ReleaseTest):
    def command(self, machine, glibc="2.31"):
        """A file with the head of a program, that names a version of glibc."""
        folder = self.folder / "native"
        folder.mkdir(exist_ok=True)
        (folder / "mystique").write_bytes(b"\x7fELF".ljust(18, b"\0") + machine + f"\0GLIBC_{glibc}\0".encode())
        (folder / "libduckdb.so").write_bytes(b"\0GLIBC_2.17\0")
        return folder

    def make(self, folder):
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            make_wheel.main(folder, self.folder / "wheel", self.assets())
        return pathlib.Path(printed.getvalue().strip()[len("wrote "):])

    def test_name_and_tag_are_of_the_processor(self):
        for machine, name in ((b"\x3e\x00", "x86_64"), (b"\xb7\x00", "aarch64")):
            with self.subTest(name):
                wheel = self.make(self.command(machine))
                tag = f"py3-none-manylinux_2_31_{name}"
                self.assertEqual(f"mystique-{make_wheel.version()}-{tag}.whl", wheel.name)
                with zipfile.ZipFile(wheel) as archive:
                    self.assertIn(f"Tag: {tag}\n", archive.read(f"mystique-{make_wheel.version()}.dist-info/WHEEL").decode())

    def test_record_has_the_digests_and_the_command_may_run(self):
        with zipfile.ZipFile(self.make(self.command(b"\x3e\x00"))) as archive:
            info = f"mystique-{make_wheel.version()}.dist-info"
            rows = list(csv.reader(io.StringIO(archive.read(f"{info}/RECORD").decode())))
            self.assertEqual(sorted(archive.namelist()), sorted(name for name, _, _ in rows))
            for name, digest, size in rows[:-1]:
                data = archive.read(name)
                made = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
                self.assertEqual((digest, size), (f"sha256={made}", str(len(data))))
            self.assertEqual({"mystique/bin/mystique": 0o755, "mystique/bin/libduckdb.so": 0o644},
                             {name: archive.getinfo(name).external_attr >> 16 & 0o777 for name in archive.namelist() if "/bin/" in name})

    def test_same_input_gives_the_same_file(self):
        folder = self.command(b"\xb7\x00")
        self.assertEqual(self.make(folder).read_bytes(), self.make(folder).read_bytes())

    def test_newer_glibc_and_other_files_are_refused(self):
        for folder in (lambda: self.command(b"\x3e\x00", "2.32"), lambda: self.command(b"\x03\x00")):
            with self.assertRaises(SystemExit):
                self.make(folder())
