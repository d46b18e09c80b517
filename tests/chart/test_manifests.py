"""Every manifest of every scenario is what its own schema says, strictly, on the newest Kubernetes and the oldest."""

import copy
import unittest

import chart
import manifests


class Manifests(unittest.TestCase):
    def test_each_one_is_valid(self):
        for kubernetes in (chart.NEWEST, chart.OLDEST):
            for name in (*chart.SCENARIOS, "monitored"):
                for one in monitored() if name == "monitored" else chart.objects(name):
                    with self.subTest(kubernetes=kubernetes, scenario=name, kind=one["kind"], name=one["metadata"]["name"]):
                        self.assertEqual([], manifests.wrong(one, kubernetes))

    def test_a_field_that_nobody_knows_would_be_found(self):
        seen = set()
        for one in monitored():
            if one["kind"] in seen or not (place := innermost(one.get("spec"))):
                continue
            seen.add(one["kind"])
            with self.subTest(one["kind"]):
                spoiled = copy.deepcopy(one)
                place(spoiled["spec"])["typo"] = 1
                self.assertIn("typo", "".join(manifests.wrong(spoiled, chart.NEWEST)))
        self.assertLessEqual({"Deployment", "Job", "HTTPRoute", "ServiceMonitor", "PrometheusRule", "ScaledObject"}, seen)

    def test_a_custom_resource_is_there_only_when_asked_for(self):
        builtin = ("v1", "apps/v1", "batch/v1", "policy/v1", "autoscaling/v2", "networking.k8s.io/v1")
        self.assertEqual([], [one["kind"] for one in chart.objects("minimal") if one["apiVersion"] not in builtin])
        kinds = {one["kind"] for one in monitored() if one["apiVersion"] not in builtin}
        self.assertEqual({"HTTPRoute", "ServiceMonitor", "PrometheusRule", "ScaledObject"}, kinds)

    def test_every_rule_and_dashboard_is_carried(self):
        [rule] = (one for one in monitored() if one["kind"] == "PrometheusRule")
        groups = [group["name"] for group in rule["spec"]["groups"]]
        files = sorted((chart.CHART / "alerts").glob("*.yaml"))
        written = [group["name"] for path in files for group in chart.yaml.safe_load(path.read_text())["groups"]]
        self.assertEqual(written, groups)
        self.assertEqual(len(groups), len(set(groups)))
        [boards] = (one for one in monitored() if one["kind"] == "ConfigMap")
        files = {path.name: path.read_text() for path in (chart.CHART / "dashboards").glob("*.json")}
        self.assertTrue(files and written)
        self.assertEqual(files, boards["data"])


def monitored():
    """Everything, with what comes from `alerts/` and `dashboards/`, which no golden file repeats."""
    on = ("prometheusRule", "dashboards")
    return chart.objects("everything", *(f"--set=metrics.{name}.enabled=true" for name in on))


def innermost(spec):
    """A way to the deepest closed object that most kinds have."""
    if not spec:
        return None
    if "template" in spec and "spec" in spec["template"]:
        return lambda spec: spec["template"]["spec"]["containers"][0]["securityContext"]
    for key in ("endpoints", "groups", "rules", "triggers"):
        if key in spec:
            return lambda spec: spec[key][0]
    return lambda spec: spec
