"""Starts the native command, in the place of this process. It uses this Python, and the torch that is in it."""
import errno
import os
import signal
import sys

NEEDED = (2, 31)
COMMAND = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bin", "mystique")


def end(code, what, where, fix):
    sys.exit(f"{code}: {what}\n  where: {where}\n  fix: {fix}")


def c_library():
    """What this Python runs on: ("glibc", (2, 36)); ("", ()) where that is no glibc."""
    try:
        name, version = os.confstr("CS_GNU_LIBC_VERSION").split()
        return name, tuple(int(part) for part in version.split(".")[:2])
    except (AttributeError, OSError, ValueError):
        return "", ()


def main():
    name, version = c_library()
    if name != "glibc" or version < NEEDED:
        found = f"it has {name} {version[0]}.{version[1]}" if name else "it has another C library, for example musl"
        end("MYS242", "the native command needs glibc 2.31 or newer", found,
            "use an image or a system with a newer glibc, or the .NET tool")
    if sys.executable:
        os.environ["MYSTIQUE_PYTHON"] = sys.executable
    for name in ("SIGPIPE", "SIGXFSZ"):  # Python ignores them, and what it becomes would, and the jobs that this starts.
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    try:
        os.execv(COMMAND, [COMMAND, *sys.argv[1:]])
    except OSError as error:
        # The file is there, and what is not is the loader that it names; or it is of another processor.
        hint = {errno.ENOENT: "install a wheel for this system's C library", errno.ENOEXEC: "install a wheel for this processor",
                errno.EACCES: "install it where programs may run (mount option noexec)"}
        end("MYS243", f"the native command cannot be started: {error.strerror}", COMMAND, hint.get(error.errno, "install the wheel again"))
