"""Runs the tests of this folder; the last line is "N passed, N failed, N skipped", and the exit code says the same.

`python3 python/tests` runs all, `python3 python/tests test_rules` those of a module, a class or a method.
"""
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent


class Result(unittest.TextTestResult):
    """Counts itself: what testsRun has of skipped tests depends on the version of Python."""

    passed = 0

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1


def main(names):
    sys.path[:0] = [str(HERE), str(HERE.parent)]
    loader = unittest.defaultTestLoader
    suite = loader.loadTestsFromNames(names) if names else loader.discover(str(HERE))
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=1, resultclass=Result).run(suite)
    for reason in sorted({reason for _, reason in result.skipped}):
        print(f"skipped: {reason}")
    bad = result.failures + result.errors + [(test, "") for test in result.unexpectedSuccesses]
    failed = len({str(getattr(test, "test_case", test)) for test, _ in bad})  # A test counts once, however many subtests of it fail.
    print(f"{result.passed} passed, {failed} failed, {len(result.skipped)} skipped")
    return 0 if result.wasSuccessful() and result.passed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
