"""What comes out of each scenario, to the byte. `run.py --renew` writes it anew; the diff is to be read."""

import difflib
import tempfile
import unittest
from pathlib import Path

import chart


class Golden(unittest.TestCase):
    maxDiff = None

    def test_each_scenario_is_what_was_read(self):
        for name in chart.SCENARIOS:
            with self.subTest(name):
                path = chart.HERE / f"golden/{name}.yaml"
                written = path.read_text() if path.exists() else ""
                diff = difflib.unified_diff(written.splitlines(), chart.rendered(name).splitlines(), "golden", "rendered", lineterm="")
                self.assertEqual("", "\n".join(diff), "run.py --renew, and read the diff")

    def test_no_golden_file_is_of_nothing(self):
        self.assertEqual(chart.SCENARIOS, sorted(path.stem for path in (chart.HERE / "golden").glob("*.yaml")))

    def test_the_same_comes_out_twice(self):
        for name in chart.SCENARIOS:
            with self.subTest(name):
                self.assertEqual((0, chart.rendered(name)), chart.template(name))

    def test_lint_finds_nothing(self):
        for name in chart.SCENARIOS:
            with self.subTest(name):
                status, said = chart.helm("lint", "--strict", chart.CHART, f"--values={chart.scenario(name)}")
                self.assertEqual(0, status, said)
                self.assertNotIn("[WARNING]", said)
                self.assertNotIn("Fail:", said)

    def test_a_package_has_all_that_templates_read(self):
        with tempfile.TemporaryDirectory() as folder:
            status, said = chart.helm("package", chart.CHART, "--destination", folder)
            self.assertEqual(0, status, said)
            [package] = Path(folder).iterdir()
            more = ("--set=metrics.prometheusRule.enabled=true", "--set=metrics.dashboards.enabled=true")
            self.assertEqual((0, chart.rendered("everything", *more)), chart.template("everything", *more, of=package))

    def test_an_older_kubernetes_is_refused(self):
        status, said = chart.template("minimal", kubernetes="1.29.0")
        self.assertNotEqual(0, status)
        self.assertIn("kubeVersion", said)
