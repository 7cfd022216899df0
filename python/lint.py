"""Runs flake8 over the Python of this folder; the exit code is 1 where it finds something, 2 where this Python has no flake8.

Names (flake8's F codes) are looked at in the joined scripts, for a part uses what other parts have; style in the files.
"""
import importlib.util
import pathlib
import re
import subprocess
import sys

import join

HERE = pathlib.Path(__file__).resolve().parent
ALONE = ["join.py", "lint.py", "make_wheel.py", "notices.py", "doctor", "wheel", "../release/sbom.py", "tests", "../tests/Original"]


def flake8(*arguments, text=None):
    """The lines that flake8 prints."""
    done = subprocess.run([sys.executable, "-m", "flake8", "--config", HERE / ".flake8", *arguments],
                          cwd=HERE, input=text, stdout=subprocess.PIPE, text=True)
    if done.returncode not in (0, 1) or bool(done.returncode) != bool(done.stdout):
        raise SystemExit("flake8 failed")
    return done.stdout.splitlines()


def in_parts(script, found):
    """A line of flake8's about a joined script, with the part and the line in it."""
    line, rest = re.fullmatch(r"stdin:(\d+):(.*)", found).groups()
    line = int(line)
    for part in join.scripts()[script]:
        length = join.fill_in((HERE / part).read_text(encoding="utf-8")).count("\n") + 2
        if line <= length:
            return f"{part}:{line}:{rest}"  # Too far down where a placeholder above it has more lines than one.
        line -= length
    return found


def main():
    if importlib.util.find_spec("flake8") is None:
        print("this Python has no flake8", file=sys.stderr)
        return 2
    parts = sorted({part for script in join.scripts().values() for part in script})
    found = flake8("--extend-ignore=F", *parts) + flake8(*ALONE)
    for script in join.scripts():
        found += [in_parts(script, line) for line in flake8("--select=F", "--stdin-display-name=stdin", "-", text=join.join(script))]
    for line in sorted(set(found)):
        print("python/" + line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
