"""What names something else names something that is there: selectors, ports, accounts, references; and every pod is
hardened. For each scenario."""

import re
import unittest

import chart


def selects(selector, labels):
    return all(labels.get(key) == value for key, value in selector.items())


class Wiring(unittest.TestCase):
    def each(self):
        for name in chart.SCENARIOS:
            with self.subTest(name):
                yield name

    def deployments(self, name):
        return {chart.component(one): one for one in chart.of_kind(name, "Deployment")}

    def test_names_are_unique_and_short_and_everything_is_in_the_namespace(self):
        for name in self.each():
            names = [(one["kind"], one["metadata"]["name"]) for one in chart.objects(name)]
            self.assertEqual(len(names), len(set(names)))
            for one in chart.objects(name):
                self.assertLessEqual(len(one["metadata"]["name"]), 63)
                self.assertEqual("live", one["metadata"]["namespace"])

    def test_a_long_release_name_is_cut(self):
        status, text = chart.helm(
            "template", "a" * 53, chart.CHART, f"--kube-version={chart.NEWEST}", f"--values={chart.scenario('everything')}"
        )
        self.assertEqual(0, status, text)
        for document in chart.yaml.safe_load_all(text):
            self.assertLessEqual(len(document["metadata"]["name"]), 63)

    def test_each_selector_means_the_pods_of_its_own_component_and_no_others(self):
        for name in self.each():
            pods = [(chart.component(one), labels) for one, labels, _ in chart.pods(name)]
            for one in chart.objects(name):
                spec = one.get("spec") or {}
                selector = {
                    "Deployment": lambda: spec["selector"]["matchLabels"],
                    "PodDisruptionBudget": lambda: spec["selector"]["matchLabels"],
                    "NetworkPolicy": lambda: spec["podSelector"]["matchLabels"],
                    "Service": lambda: spec["selector"],
                }.get(one["kind"])
                if selector:
                    found = {component for component, labels in pods if selects(selector(), labels)}
                    self.assertEqual({chart.component(one)}, found, one["metadata"]["name"])
            for _, labels, spec in chart.pods(name):
                for constraint in spec.get("topologySpreadConstraints", []):
                    self.assertTrue(selects(constraint["labelSelector"]["matchLabels"], labels))

    def test_each_scaler_begins_with_as_many_as_it_wants_at_least(self):
        for name in self.each():
            deployments = {one["metadata"]["name"]: one for one in chart.of_kind(name, "Deployment")}
            scalers = [
                (one["spec"]["scaleTargetRef"]["name"], one["spec"][least])
                for kind, least in (("HorizontalPodAutoscaler", "minReplicas"), ("ScaledObject", "minReplicaCount"))
                for one in chart.of_kind(name, kind)
            ]
            self.assertEqual(len(scalers), len(dict(scalers)))
            for target, least in scalers:
                # Without a number it would be one; a cluster's own number is not to be seen here.
                self.assertEqual(least, deployments[target]["spec"]["replicas"], target)
            self.assertTrue(all(one["spec"]["replicas"] >= 1 for one in deployments.values()))
        metric = "signal_edge_connections"
        self.assertIn(f"| `{metric}` |", (chart.ROOT / "docs/observing.md").read_text())
        self.assertIn(metric, chart.rendered("everything"))

    def test_ports_have_the_names_that_they_are_called_by(self):
        for name in self.each():
            for component, one in self.deployments(name).items():
                [container] = one["spec"]["template"]["spec"]["containers"]
                ports = {port["name"]: port["containerPort"] for port in container["ports"]}
                self.assertEqual({"http": 3000, "admin": 9090}, ports)
                for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                    self.assertEqual("admin", container[probe]["httpGet"]["port"])
            for service in chart.of_kind(name, "Service"):
                for port in service["spec"]["ports"]:
                    self.assertIn(port["targetPort"], ports)

    def test_the_admin_port_is_no_gateways(self):
        for name in self.each():
            services = {one["metadata"]["name"]: one["spec"] for one in chart.of_kind(name, "Service")}
            called = [
                (backend["name"], backend["port"])
                for one in chart.of_kind(name, "HTTPRoute")
                for rule in one["spec"]["rules"]
                for backend in rule["backendRefs"]
            ]
            for one in chart.of_kind(name, "Ingress"):
                for rule in one["spec"]["rules"]:
                    called += [(path["backend"]["service"]["name"], "http") for path in rule["http"]["paths"]]
            for service, port in called:
                [only] = services[service]["ports"]
                self.assertIn(port, (only["port"], only["name"]))
                self.assertEqual("http", only["targetPort"])
            for service, spec in services.items():
                if any(port["targetPort"] == "admin" for port in spec["ports"]):
                    self.assertTrue(service.endswith("-admin") and spec["publishNotReadyAddresses"], service)

    def test_each_monitor_finds_one_service_with_its_port(self):
        monitors = chart.of_kind("everything", "ServiceMonitor")
        self.assertEqual(2, len(monitors))
        for monitor in monitors:
            selector = monitor["spec"]["selector"]["matchLabels"]
            found = [one for one in chart.of_kind("everything", "Service") if selects(selector, one["metadata"]["labels"])]
            [service] = found
            self.assertIn(monitor["spec"]["endpoints"][0]["port"], [port["name"] for port in service["spec"]["ports"]])

    def test_accounts_are_there_in_time_and_get_no_token(self):
        for name in self.each():
            accounts = {one["metadata"]["name"]: one for one in chart.of_kind(name, "ServiceAccount")}
            for account in accounts.values():
                self.assertIs(False, account["automountServiceAccountToken"])
            for one, _, spec in chart.pods(name):
                self.assertIs(False, spec["automountServiceAccountToken"])
                if spec["serviceAccountName"] == "default":
                    continue
                account = accounts[spec["serviceAccountName"]]
                hook, needed = (x["metadata"].get("annotations", {}) for x in (one, account))
                self.assertEqual(hook.get("helm.sh/hook"), needed.get("helm.sh/hook"))
                if "helm.sh/hook" in hook:
                    self.assertLess(int(needed["helm.sh/hook-weight"]), int(hook["helm.sh/hook-weight"]))

    def test_a_hook_needs_nothing_of_the_release(self):
        for name in self.each():
            for policy in chart.of_kind(name, "NetworkPolicy"):
                annotations = policy["metadata"].get("annotations", {})
                self.assertEqual(chart.component(policy) == "migrate", "helm.sh/hook" in annotations)
            made = {one["metadata"]["name"] for one in chart.objects(name) if one["kind"] in ("Secret", "ConfigMap")}
            self.assertEqual(set(), made, "secrets are there before, by reference")

    def test_every_pod_is_hardened(self):
        for name in self.each():
            for one, _, spec in chart.pods(name):
                own = spec["securityContext"]
                self.assertEqual((True, 65532, 65532), (own["runAsNonRoot"], own["runAsUser"], own["runAsGroup"]))
                self.assertEqual({"type": "RuntimeDefault"}, own["seccompProfile"])
                self.assertIs(False, spec["enableServiceLinks"])
                for container in chart.containers(spec):
                    closed = {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    }
                    self.assertEqual(closed, container["securityContext"])
                    self.assertIn("memory", container["resources"]["limits"])
                    writable = [mount["name"] for mount in container.get("volumeMounts", []) if not mount.get("readOnly")]
                    self.assertLessEqual(set(writable), {"replay"})
                    volumes = {volume["name"] for volume in spec.get("volumes", [])}
                    self.assertLessEqual({mount["name"] for mount in container.get("volumeMounts", [])}, volumes)

    def test_the_grace_period_is_what_a_stop_may_take(self):
        # preStop, SIGNAL_SHUTDOWN_DEADLINE rounded up, and the margin; for the edge then the least time between two.
        expected = {
            "minimal": {"edge": (5, 30, 25), "worker": (5, 30, 10)},
            "everything": {"edge": (10, 60, 55), "worker": (5, 60, 10)},
            "development": {"edge": (0, 8, 0), "worker": (0, 8, 0)},
        }
        for name, workloads in expected.items():
            for component, (sleep, deadline, ready) in workloads.items():
                spec = self.deployments(name)[component]["spec"]
                pod = spec["template"]["spec"]
                self.assertEqual(sleep + deadline + 5, pod["terminationGracePeriodSeconds"], (name, component))
                handler = pod["containers"][0].get("lifecycle")
                self.assertEqual({"preStop": {"sleep": {"seconds": sleep}}} if sleep else None, handler)
                self.assertEqual(ready, spec["minReadySeconds"])
                self.assertGreater(spec["progressDeadlineSeconds"], ready)
                self.assertEqual(0, spec["strategy"]["rollingUpdate"]["maxUnavailable"])

    def test_a_job_is_named_by_what_it_does(self):
        def replay(*more):
            [job] = [job for job in chart.of_kind("replay", "Job", *more) if chart.component(job) == "replay"]
            return job["metadata"]["name"]

        self.assertRegex(replay(), r"^shop-signal-replay-[0-9a-f]{8}$")
        changed = ["replay.push=true", "replay.to=0:1300", "image.tag=v2", "worker.config.SIGNAL_KAFKA_TOPIC=other"]
        names = {replay(), *(replay(f"--set={one}") for one in changed)}
        self.assertEqual(len(changed) + 1, len(names), "what can't be changed in a job is another job")
        self.assertEqual(replay(), replay("--set=edge.replicas=7"))

    def test_nothing_outlives_its_release(self):
        # Helm takes away at an uninstall what is no hook.
        seen = set()
        for name in self.each():
            for one in chart.objects(name):
                annotations = one["metadata"].get("annotations", {})
                if "helm.sh/hook" in annotations:
                    seen.add(one["kind"])
                    self.assertIn("hook-succeeded", annotations["helm.sh/hook-delete-policy"].split(","), one["kind"])
        self.assertEqual({"Job", "NetworkPolicy", "ServiceAccount"}, seen)

    def test_a_secret_is_a_reference_wherever_it_is(self):
        defaults = chart.yaml.safe_load((chart.CHART / "values.schema.json").read_text())["$defs"]
        secrets = {*defaults["edgeSecrets"]["properties"], *defaults["workerSecrets"]["properties"]}
        self.assertIn("SIGNAL_DATABASE_URL", secrets)
        for name in self.each():
            values = chart.yaml.safe_load(chart.scenario(name).read_text())
            given = re.findall(r"'name': '([^']+)', 'key': '([^']+)'", str(values))
            for _, _, spec in chart.pods(name):
                for container in chart.containers(spec):
                    for variable in container["env"]:
                        self.assertEqual(variable["name"] in secrets, "valueFrom" in variable, variable)
                        if "valueFrom" in variable:
                            reference = variable["valueFrom"]["secretKeyRef"]
                            self.assertIn((reference["name"], reference["key"]), given)

    def test_a_workloads_own_setting_wins_and_null_takes_one_out(self):
        def env(component, *more):
            pod = next(spec for one, _, spec in chart.pods("minimal", *more) if chart.component(one) == component)
            return {variable["name"]: variable.get("value") for variable in pod["containers"][0]["env"]}

        both = "--set=config.SIGNAL_LOG=warn,edge.config.SIGNAL_LOG=debug"
        self.assertEqual(("debug", "warn"), (env("edge", both)["SIGNAL_LOG"], env("worker", both)["SIGNAL_LOG"]))
        less = "--set=config.SIGNAL_LOG=warn,edge.config.SIGNAL_LOG=null,edge.secrets.SIGNAL_DATABASE_URL=null"
        self.assertEqual({"SIGNAL_JWKS_URL", "SIGNAL_REDIS_URL"}, set(env("edge", less)))
        self.assertLessEqual({"SIGNAL_LOG", "SIGNAL_DATABASE_URL"}, set(env("worker", less)))
