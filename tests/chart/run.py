"""Tests the Helm chart: golden files, schemas of all manifests, refusals, and the binaries themselves.

    target/chart/bin/python tests/chart/run.py [NAME…]   runs all tests, or those whose names contain one of these
    target/chart/bin/python tests/chart/run.py --renew   writes the golden files

Needs Helm (scripts/helm), the virtual environment of scripts/chart-checks, and the binaries in target/debug.
"""

import sys
import time
import unittest

import chart


class Result(unittest.TextTestResult):
    """Counts tests as the other runners do: one that fails in several subtests has failed once."""

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.passed = self.failed = 0

    def stopTest(self, test):
        super().stopTest(test)
        # A failure of a subtest carries the test that it is a part of.
        unhappy = {getattr(case, "test_case", case) for case, _ in (*self.failures, *self.errors)}
        if test in unhappy:
            self.failed += 1
        else:
            self.passed += 1


def renew():
    for name in chart.SCENARIOS:
        (chart.HERE / f"golden/{name}.yaml").write_text(chart.rendered(name))


def main():
    if "--renew" in sys.argv:
        renew()
        return 0
    loader = unittest.TestLoader()
    loader.testNamePatterns = [f"*{name}*" for name in sys.argv[1:]] or None
    suite = loader.discover(str(chart.HERE))
    began = time.monotonic()
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=Result).run(suite)
    # What could not even be loaded, or a fixture that failed, is no test that has run.
    failed = result.failed or int(not result.wasSuccessful())
    print(f"{time.monotonic() - began:.1f} s")
    print(f"# pass {result.passed}\n# fail {failed}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
