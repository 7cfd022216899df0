# The package.


class Package:
    """The manifest (benchmark.json) and the program (program.pt), both held to the rules; docs/package-format.md has the fields."""

    def __init__(self, folder):
        paths = self.path, self.program_path = os.path.join(folder, "benchmark.json"), os.path.join(folder, "program.pt")
        self.manifest, self.schemas, self.program = read_package(*[read_plain(path) for path in paths], *paths)
        m = self.manifest
        self.kernels = {k["file"]: read_kernel(folder, k) for k in m.get("kernels", ())}
        self.names = [schema.name for schema in self.schemas]  # With the overload: aten::add.Tensor.
        self.times = {id_of(t): t for t in (m.get("times") or {}).get("operators", [])}

    def name_of(self, op):
        return self.names[op["schema"]]


def id_of(entry):
    """Which operator of the recording it is: the segment and the node."""
    return entry.get("segment", 0), entry["node"]


def upgrade_manifest(m):
    """Gives a manifest of format version 2 the names of version 3, and its one rank; nothing is checked here."""
    changes = RULES["version_2"]
    for old, name in changes["names"].items():
        *above, last = old.split(".")
        parent = m.get(above[0]) if above else m
        if isinstance(parent, dict) and last in parent and name not in parent:
            parent[name] = parent.pop(last)
    storages = m.get("storages")
    for storage in storages if isinstance(storages, list) else ():
        init = storage.get("init") if isinstance(storage, dict) else None
        if isinstance(init, dict) and isinstance(init.get("kind"), str):
            init["kind"] = changes["kinds"].get(init["kind"], init["kind"])
    coverage, operators = m.get("coverage"), m.get("operators")
    if isinstance(coverage, dict) and isinstance(operators, list):
        roles = [op.get("role") for op in operators if isinstance(op, dict)]
        if type(coverage.get("added_operators")) is int and coverage["added_operators"] == sum(role is not None for role in roles):
            coverage["added_operators"] = roles.count("added")  # Substitutes were counted with them.
    baseline = m.get("baseline")
    known = {k: baseline[k] for k in ("rank", "world_size") if k in baseline} if isinstance(baseline, dict) else {}
    m.setdefault("ranks", [{"rank": 0, **known}])
    m["format_version"] = FORMAT_VERSION


SPECIAL_FILES = {stat.S_IFIFO: "a pipe", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFSOCK: "a socket"}


def read_plain(path):
    """The bytes of a plain file, which a folder of somebody else's may not have in its place."""
    try:
        kind = SPECIAL_FILES.get(stat.S_IFMT(os.stat(path).st_mode))
        if kind:
            raise Problem("MYS124", f"the file is not a regular file: it is {kind}", path,
                          "copy its content into a file, and name that file")
        if os.path.getsize(path) > MAX_FILE_BYTES:
            raise mismatch("the file is too large to be of a package", path)
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise Problem("MYS306", f"the package cannot be read: {error.strerror}", error.filename, "copy the whole package again")


def read_kernel(folder, kernel):
    """The source of a compiled kernel: a plain file in the package's own folder, as it was when the package was written."""
    folder = os.path.join(folder, "kernels")
    path = os.path.join(folder, kernel["file"])
    if not os.path.islink(folder) and not os.path.islink(path) and os.path.isfile(path):
        source = read_plain(path)
        if hashlib.sha256(source).hexdigest() == kernel["sha256"]:
            return source
    raise mismatch(f"the kernel {kernel['file']} is missing or was changed (its SHA-256 differs)", folder)


def read_package(manifest, program, path, program_path):
    """The manifest, its schemas and the program's text, held to the rules."""
    try:
        m = parse_manifest(manifest)
        hold(isinstance(m, dict) and m.get("format") == "mystique-benchmark", 'its format, which is not "mystique-benchmark",')
        version = m.get("format_version")
        if isinstance(version, int) and not isinstance(version, bool) and version != FORMAT_VERSION and -1 << 31 <= version < 1 << 31:
            if version != OLDEST_FORMAT_VERSION:
                raise Problem("MYS302", f"the package's format version {version} is not supported: {OLDEST_FORMAT_VERSION} and "
                              f"{FORMAT_VERSION} are", path, "use the run.py or the mystique that wrote it, or generate it again")
            upgrade_manifest(m)
        schemas = check_manifest(m)
    except Broken as broken:
        raise invalid_manifest(broken, path)
    forbidden = why_not_package(m, schemas)
    if forbidden:
        raise forbidden_problem(forbidden, path)
    if hashlib.sha256(program).hexdigest() != m["program"]["sha256"]:
        raise mismatch("the program is not the one that the manifest was written with (its SHA-256 differs)", program_path)
    try:
        code = code_of(program)
    except ValueError as error:
        raise mismatch(f"the program is no TorchScript archive of this tool ({error})", program_path)
    forbidden = why_not_program(code, m, schemas)
    if forbidden:
        raise forbidden_problem(forbidden, program_path)
    return m, schemas, code


def invalid_manifest(why, path):
    return Problem("MYS301", f"the manifest is invalid: {why}", path, "generate the package again")


def mismatch(why, path):
    return Problem("MYS303", f"the package's manifest and program disagree: {why}", path,
                   "generate the package again, or copy the whole folder again")


def forbidden_problem(why, path):
    return Problem("MYS309", f"the package does what a benchmark may not: {why}", path,
                   "do not run it: no version of mystique writes such a package")
