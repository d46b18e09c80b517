"""What of the chart is made from something else is what it would be made today."""

import re
import sys
import unittest
from functools import cache

import binaries
import chart

sys.path.insert(0, str(chart.ROOT / "charts"))
import generate  # noqa: E402


@cache
def reference():
    return generate.read_reference(binaries.BINARIES / "signal")


class Generated(unittest.TestCase):
    def test_schema_defaults_readme_and_version_are_current(self):
        self.assertEqual([], generate.stale(reference()), "target/chart/bin/python charts/generate.py target/debug/signal")

    def test_a_new_variable_would_be_noticed(self):
        more = {**reference()}
        more["edge"] = [*more["edge"], {"name": "SIGNAL_NEW", "kind": "text", "secret": False, "meaning": "New"}]
        self.assertEqual(["values.schema.json", "files/defaults.json"], generate.stale(more))

    def test_bounds_are_found_wherever_they_are(self):
        for least, greatest in ((0, 0), (0, 1), (1, 1), (1, 7), (3, 1023), (1, 100_000), (0, 2**32 - 1), (0, 2**32), (5, None)):
            most = generate.GREATEST if greatest is None else greatest
            for taken in (least, (least + min(most, 12_345)) // 2, min(most, 12_345)):
                with self.subTest(least=least, greatest=greatest, taken=taken):
                    found = generate.bounds(lambda value: least <= value <= most, taken)
                    self.assertEqual((least, greatest), (found["minimum"], found.get("maximum")))

    def test_the_version_is_the_workspaces(self):
        version = generate.workspace_version()
        manifest = chart.yaml.safe_load((chart.CHART / "Chart.yaml").read_text())
        self.assertEqual((version, version), (manifest["version"], manifest["appVersion"]))
        self.assertEqual(version, binaries.reference()["version"])

    def test_schema_and_values_have_the_same_keys(self):
        schema = chart.yaml.safe_load((chart.CHART / "values.schema.json").read_text())
        values = chart.yaml.safe_load((chart.CHART / "values.yaml").read_text())

        def compare(path, properties, given):
            self.assertEqual(set(properties) - {"global"}, set(given), path or "values")
            for key, value in given.items():
                # An empty map is a user's to fill.
                if isinstance(value, dict) and value and "properties" in properties[key]:
                    compare(f"{path}.{key}", properties[key]["properties"], value)

        compare("", schema["properties"], values)

    def test_each_value_says_what_it_is(self):
        text = (chart.CHART / "values.yaml").read_text()
        described = {path for path, _ in generate.described(text)}
        # A peer and a port say it themselves.
        leaves = (path for path, _ in generate.leaves(chart.yaml.safe_load(text)) if path[:2] != ("networkPolicy", "egress"))
        self.assertEqual([], [".".join(path) for path in leaves if path not in described])

    def test_examples_in_the_documents_render(self):
        for path in (chart.CHART / "README.md", chart.ROOT / "docs/kubernetes.md", chart.ROOT / "docs/replay.md"):
            examples = [block.split("```")[0] for block in path.read_text().split("```yaml\n# values.yaml\n")[1:]]
            self.assertTrue(examples, path.name)
            for number, example in enumerate(examples):
                values = chart.TARGET / f"chart/example-{number}.yaml"
                values.write_text(example)
                status, said = chart.template("minimal", f"--values={values}")
                self.assertEqual(0, status, f"{path.name}: {said}")

    def test_the_example_of_production_is_the_scenario(self):
        [example] = re.findall(r"```yaml\n(# production\.yaml\n.*?)```", (chart.ROOT / "docs/kubernetes.md").read_text(), flags=re.S)
        self.assertEqual(chart.scenario("production").read_text(), example)

    def test_what_the_example_of_production_refers_to_is_said(self):
        text = (chart.ROOT / "docs/kubernetes.md").read_text()
        made = {name: set() for name in ("signal", "signal-kafka")}
        for name in made:
            for command in re.findall(rf"create secret generic {name} (.*?)\n\$", text.replace("\n```", "\n$"), flags=re.S):
                made[name] |= set(re.findall(r"--from-(?:literal|file)=([a-z-]+)=", command))
        for _, _, spec in chart.pods("production"):
            for container in chart.containers(spec):
                for variable in container["env"]:
                    if "valueFrom" in variable:
                        reference = variable["valueFrom"]["secretKeyRef"]
                        self.assertIn(reference["key"], made[reference["name"]])
