"""Checks what Signal is shipped with, where no engine builds or runs an image: Dockerfile, compose.yaml, release.

Run by target/deploy-checks/bin/python; an argument picks tests whose name contains it.
"""

import sys
import unittest
from pathlib import Path

import test_compose
import test_dockerfile
import test_release

MODULES = (test_compose, test_dockerfile, test_release)


def main():
    loader = unittest.TestLoader()
    if len(sys.argv) > 1:
        loader.testNamePatterns = [f"*{sys.argv[1]}*"]
    suite = unittest.TestSuite(loader.loadTestsFromModule(module) for module in MODULES)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    failed = len(result.failures) + len(result.errors)
    # As the other runners write it, for the summary of `make test`.
    print(f"# pass {result.testsRun - failed - len(result.skipped)}\n# fail {failed}\n# skipped {len(result.skipped)}")
    for test, why in result.skipped:
        print(f"skipped: {test.id()} {why}")
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    sys.exit(main())
