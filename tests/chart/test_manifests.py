"""Every manifest of every scenario is what its own schema says, strictly, on the newest Kubernetes and the oldest."""

import copy
import json
import tempfile
import unittest

import chart
import manifests
import yaml


class Strict(yaml.SafeLoader):
    """Refuses a key that is there twice, of which others take the last."""

    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value]
        if twice := {key for key in keys if keys.count(key) > 1}:
            raise yaml.constructor.ConstructorError(None, None, f"twice: {twice}", node.start_mark)
        return super().construct_mapping(node, deep)


class Manifests(unittest.TestCase):
    def test_each_one_is_valid(self):
        for kubernetes in (chart.NEWEST, chart.OLDEST):
            for name in (*chart.SCENARIOS, "monitored"):
                for one in monitored() if name == "monitored" else chart.objects(name):
                    with self.subTest(kubernetes=kubernetes, scenario=name, kind=one["kind"], name=one["metadata"]["name"]):
                        self.assertEqual([], manifests.wrong(one, kubernetes))

    def test_no_key_is_there_twice_whatever_maps_share(self):
        shared = (
            "labels.team=all,edge.podLabels.team=edge,metrics.serviceMonitor.labels.team=monitors",
            "metrics.prometheusRule.labels.team=rules,metrics.dashboards.labels.team=boards",
            "edge.podAnnotations.prometheus\\.io/path=/other,edge.podAnnotations.kubectl\\.kubernetes\\.io/default-container=edge",
            "metrics.prometheusRule.enabled=true,metrics.dashboards.enabled=true",
        )
        more = [f"--set={values}" for values in shared]
        for name in chart.SCENARIOS:
            with self.subTest(name):
                list(yaml.load_all(chart.rendered(name, *more), Loader=Strict))
        team = {(one["kind"], one["metadata"]["labels"]["team"]) for one in chart.objects("everything", *more)}
        self.assertLessEqual({("ServiceMonitor", "monitors"), ("PrometheusRule", "rules"), ("ConfigMap", "boards"), ("Service", "all")}, team)
        for one, labels, _ in chart.pods("everything", *more):
            self.assertEqual("edge" if chart.component(one) == "edge" else "all", labels["team"])
        [annotations] = (
            one["spec"]["template"]["metadata"]["annotations"]
            for one in chart.of_kind("everything", "Deployment", *more) if chart.component(one) == "edge"
        )
        self.assertEqual("/other", annotations["prometheus.io/path"])
        with self.assertRaises(yaml.constructor.ConstructorError):
            yaml.load("a: 1\na: 2", Loader=Strict)

    def test_a_string_stays_a_string(self):
        strings = (
            "image.tag=1,edge.image.repository=2,edge.priorityClassName=0x1,edge.serviceAccount.name=007,nameOverride=123",
            "gateway.ingress.className=123,fullnameOverride=null,labels.team=on",
            "replay.from=now,replay.checkpointClaim=42,worker.serviceAccount.name=0",
            "worker.keda.metadata.version=1,worker.keda.authenticationRef.name=1,imagePullSecrets[0].name=12",
            "secrets.SIGNAL_REDIS_URL.key=1,secrets.SIGNAL_REDIS_URL.name=2,caBundle.secret=3,worker.podLabels.a=no",
        )
        more = [f"--set-string={values}" for values in strings]
        more += ["--set=worker.keda.enabled=true,gateway.ingress.enabled=true,replay.enabled=true"]
        status, text = chart.helm(
            "template", "123", chart.CHART, "--namespace=456", f"--kube-version={chart.NEWEST}", f"--values={chart.scenario('minimal')}", *more
        )
        self.assertEqual(0, status, text)
        for one in filter(None, yaml.safe_load_all(text)):
            with self.subTest(kind=one["kind"], name=one["metadata"]["name"]):
                self.assertEqual([], manifests.wrong(one, chart.NEWEST))

    def test_a_large_number_is_written_in_full(self):
        large = 5_000_000_000
        # Numbers of a file, not of --set, are those that Go would print as 5e+09.
        values = {
            "edge": {
                "replicas": large,
                "rollout": {"minReadySeconds": large, "maxSurge": large},
                "podDisruptionBudget": {"maxUnavailable": large},
                "resources": {"limits": {"memory": large}},
                "config": {"SIGNAL_MAX_CONNECTIONS": large},
                "tolerations": [{"key": "a", "operator": "Exists", "tolerationSeconds": large}],
            },
            "worker": {"keda": {"enabled": True, "minReplicas": large, "maxReplicas": large, "lagThreshold": large, "pollingSeconds": large}},
            "migrate": {"backoffLimit": large, "activeDeadlineSeconds": large, "ttlSecondsAfterFinished": large},
            "replay": {"enabled": True, "from": "now", "rate": large, "backoffLimit": large, "ttlSecondsAfterFinished": large},
        }
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(values, file)
            file.flush()
            status, text = chart.template("minimal", f"--values={file.name}")
        self.assertEqual(0, status, text)
        self.assertNotRegex(text, r"[0-9]e[+]?[0-9]{2}\b")
        self.assertGreater(text.count(str(large)), 15)

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
        files = sorted((chart.CHART / "alerts").glob("*.yaml"))
        written = [group for path in files for group in chart.yaml.safe_load(path.read_text())["groups"]]
        self.assertEqual(written, rule["spec"]["groups"])
        # The operator refuses a rule that has two of one name.
        names = [group["name"] for group in written]
        self.assertEqual(len(names), len(set(names)))
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
