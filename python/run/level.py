# Which of a package's levels runs: the recorded operators, or what the job called, with the target's autograd.

FRAMEWORK = "framework"  # The level, and its folder in a package: a package of its own, without a run.py.


def is_of_framework(m):
    """Whether a manifest is of the framework's level: the target's autograd makes its backward passes."""
    return any(op.get("role") == "autograd" for op in m["operators"])


def package_of(options):
    """The package of the level that was asked for; of both, the one that predicts best here."""
    package = Package(options.package)
    other = other_level_of(package, options.package)
    if options.level == FRAMEWORK and other is None and not is_of_framework(package.manifest):
        raise Problem("MYS211", "there is no framework's level: the package has the operators' level alone", package.path,
                      "use --level operator, or leave --level out")
    wants = options.level == FRAMEWORK or options.level == "auto" and is_elsewhere(package.manifest, options.device)
    return other if other is not None and wants else package


def other_level_of(package, folder):
    """The framework's level of a package, as it was when the package was written; None where it has none."""
    digest = package.manifest.get("framework")
    if digest is None:
        return None
    path = os.path.join(folder, FRAMEWORK, "benchmark.json")
    other = Package(os.path.dirname(path))
    if hashlib.sha256(read_plain(path)).hexdigest() != digest or not is_of_framework(other.manifest) \
            or is_of_framework(package.manifest):
        raise mismatch("the framework's level is not the one that the package was written with", path)
    return other


def is_elsewhere(m, device):
    """Whether this is another version of PyTorch, or another kind of device, than that of the recording, as far as that is known."""
    kinds = [d.split(":")[0] for d in m["devices"] if not d.startswith(("cpu", "meta"))] or ["cpu"]
    here = device or next((k for k in kinds if k == "cpu" or _is_there(torch, k)), "") or _accelerator(torch) or "cpu"
    recorded = m.get("baseline", {}).get("versions", {})
    version = recorded.get("torch") or recorded.get("libtorch")
    # Of a build, what comes after the version does not count: 2.6.0+cu124.
    return here.split(":")[0] != kinds[0] or version is not None and version.split("+")[0] != torch.__version__.split("+")[0]


def refuse_lost_autograd(package, program):
    """Autograd's own calls have no substitutes."""
    for i, reason in program.missing.items():
        if package.manifest["operators"][i].get("role") == "autograd":
            raise Problem("MYS426", f"the framework's level does not run here: {reason}", package.path, "use --level operator", 1)
