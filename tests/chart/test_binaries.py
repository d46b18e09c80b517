"""The binaries take what the chart gives them: variables, arguments, probes, and every path that leads to them."""

import json
import re
import subprocess
import tempfile
import unittest

import binaries
import chart
import jsonschema


def workload(name):
    """edge or worker: whose binary a container runs."""
    return binaries.binary(name).name.removeprefix("signal-")


class Variables(unittest.TestCase):
    def test_each_variable_is_known_to_the_binary_that_gets_it(self):
        for name in chart.SCENARIOS:
            for one, _, spec in chart.pods(name):
                for container in chart.containers(spec):
                    with self.subTest(scenario=name, of=one["metadata"]["name"], container=container["name"]):
                        known = set(binaries.variables(workload(container))) | {"SSL_CERT_FILE"}
                        given = [variable["name"] for variable in container["env"]]
                        self.assertLessEqual(set(given), known)
                        self.assertEqual(len(given), len(set(given)))

    def test_check_config_is_content_with_what_is_rendered(self):
        for name in chart.SCENARIOS:
            for one, container in check_configs(name):
                with self.subTest(scenario=name, of=one["metadata"]["name"]):
                    status, said = binaries.run(container, container["args"], binaries.environment(container))
                    self.assertEqual(0, status, said)

    def test_check_config_stops_a_rollout_for_a_variable_that_nobody_knows_and_names_it(self):
        for one, container in check_configs("everything"):
            given = binaries.environment(container)
            given["SIGNAL_LOGG"] = "debug"
            status, said = binaries.run(container, container["args"], given)
            self.assertNotEqual(0, status)
            self.assertIn("SIGNAL_LOGG", said, one["metadata"]["name"])

    def test_check_config_stops_a_rollout_for_a_secret_that_cannot_be_used_and_does_not_say_it(self):
        for _, container in check_configs("everything"):
            for name in ("SIGNAL_REDIS_URL", "SIGNAL_DATABASE_URL"):
                given = binaries.environment(container) | {name: "hunter2"}
                status, said = binaries.run(container, container["args"], given)
                self.assertNotEqual(0, status, name)
                self.assertIn(name, said)
                self.assertNotIn("hunter2", said)

    def test_it_is_checked_with_what_the_workload_then_gets(self):
        for name in chart.SCENARIOS:
            for _, _, spec in chart.pods(name):
                if "initContainers" in spec:
                    [check], [main] = spec["initContainers"], spec["containers"]
                    for field in ("image", "command", "env"):
                        self.assertEqual(check[field], main[field])

    def test_every_variable_can_be_set_as_the_schema_has_it(self):
        # Its default, or an example: the chart takes it and the binary does.
        examples = {
            "SIGNAL_JWKS_URL": "https://issuer.example/jwks",
            "SIGNAL_JWT_ISSUER": "https://issuer.example",
            "SIGNAL_JWT_AUDIENCE": "screens",
            "SIGNAL_JOINABLE_ROOMS": "orders/*",
            "SIGNAL_TRUSTED_PROXIES": "10.0.0.0/8",
            "SIGNAL_DRAIN_WINDOW": "20s",
            "SIGNAL_KAFKA_BROKERS": "127.0.0.1:1",
            "SIGNAL_KAFKA_DEAD_LETTER_TOPIC": "dead",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
            "OTEL_SERVICE_NAME": "signal",
            "OTEL_RESOURCE_ATTRIBUTES": "service.namespace=shop",
        }
        for component in ("edge", "worker"):
            values = {}
            for name, variable in binaries.variables(component).items():
                if not variable["secret"] and name not in ("SIGNAL_HTTP_ADDR", "SIGNAL_ADMIN_ADDR"):
                    values[name] = variable.get("default", examples.get(name))
                    self.assertIsNotNone(values[name], f"{name} needs an example")
            more = [f"--set-string={component}.config.{name}={value.replace(',', chr(92) + ',')}" for name, value in values.items()]
            [container] = (container for one, container in check_configs("minimal", *more) if chart.component(one) == component)
            given = binaries.environment(container)
            self.assertLessEqual(values.items(), given.items())
            status, said = binaries.run(container, container["args"], given)
            self.assertEqual(0, status, said)


    def test_the_schema_takes_what_its_binary_takes(self):
        schema = json.loads((chart.CHART / "values.schema.json").read_text())["$defs"]
        numbers = (0, 1, 2, 1023, 1024, 100_000, 100_001, 2**32 - 1, 2**32)
        texts = (*map(str, numbers), "007", "999999", "1022", "1999", "9", "10", "2147483647", "4294967296", "99999999999", "a", "-1", "1.0")
        fractions = ("0.5", ".5", "0.0", "1.0", "1.00", "1.01", "00.5", "01", "0", "10", "0.", "half", "-0.5")
        paths = ("/", "/a", "/a/", "/a/b", "/a-b_c.d~e/1", "//", "//a", "/a//b", "/a//", "a", "/a%20", "/a?b", "/a b", "/é", "/{id}", "/*", "/a#b")
        tried = {
            "integer": (*numbers, *texts),
            "number": (*numbers, *fractions),
            "size": ("0", "0KiB", "1"),
            "duration": ("0", "0s", "0m0ms", "10m"),
            "path": paths,
        }
        topics = ("events", "a.b_c-D9", "a" * 249, "a" * 250, "a b", "a/b", "a,b", "é")
        named = {"SIGNAL_KAFKA_TOPIC": topics, "SIGNAL_KAFKA_DEAD_LETTER_TOPIC": topics}
        refused = set()
        for component in ("edge", "worker"):
            for name, variable in binaries.variables(component).items():
                if variable["secret"]:
                    continue
                said = jsonschema.Draft202012Validator(schema[f"{component}Config"]["properties"][name])
                for value in named.get(name, tried.get(variable["kind"], ())):
                    done = subprocess.run(
                        [binaries.BINARIES / f"signal-{component}", "check-config"], capture_output=True, text=True, env={name: str(value)}
                    )
                    takes = f"{name}: invalid value" not in done.stdout + done.stderr
                    self.assertEqual(takes, said.is_valid(value), f"{name}={value}")
                    if not takes:
                        refused.add(name)
        known = {"SIGNAL_BATCH_SIZE", "SIGNAL_HEARTBEAT_INTERVAL", "OTEL_TRACES_SAMPLER_ARG", "SIGNAL_BASE_PATH", "SIGNAL_STREAM_PATH", *named}
        self.assertLessEqual(known, refused)


class Commands(unittest.TestCase):
    def test_each_container_starts_a_binary_that_the_image_has(self):
        for name in chart.SCENARIOS:
            for _, _, spec in chart.pods(name):
                for container in chart.containers(spec):
                    self.assertTrue(binaries.binary(container).exists())
                    self.assertIn(workload(container), ("edge", "worker"))

    def test_a_migration_does_what_it_is_for(self):
        outcomes = {"minimal": 0, "ingress": 0, "development": 0, "everything": 0}
        for name, expected in outcomes.items():
            with self.subTest(name), tempfile.TemporaryDirectory() as folder:
                [container] = job(name, "migrate")["containers"]
                given = binaries.environment(container)
                given["SIGNAL_DATABASE_URL"] = f"sqlite://{folder}/platform.db?mode=rwc"
                tables = {"SIGNAL_DATABASE_URL": given["SIGNAL_DATABASE_URL"]}
                if name != "development":
                    # It refuses a database without the platform's tables, as the core would have made them.
                    self.assertEqual(1, binaries.run(container, container["args"], given)[0])
                    self.assertEqual(0, binaries.run(container, ["migrate", "--with-core-schema"], tables)[0])
                status, said = binaries.run(container, container["args"], given)
                self.assertEqual(expected, status, said)

    def test_a_replay_is_a_command_that_the_worker_reads(self):
        for name in ("everything", "development", "replay"):
            with self.subTest(name):
                [container] = job(name, "replay")["containers"]
                given = binaries.environment(container)
                # The command line is read as a whole before it is seen that something is not set.
                del given["SIGNAL_KAFKA_BROKERS"]
                status, said = binaries.run(container, container["args"], given)
                self.assertEqual(1, status, said)
                self.assertIn("not set: SIGNAL_KAFKA_BROKERS", said)
                status, said = binaries.run(container, [*container["args"], "--typo"], given)
                self.assertEqual(2, status, said)


    def test_of_a_replays_points_the_chart_takes_what_the_worker_takes(self):
        points = {
            *("beginning", "end", "now", "2026-11-23T08:00:00Z", "2026-11-23T15:00:00.5+07:00", "2026-11-23", "2028-02-29"),
            *("90m", "7d", "1d12h30m", "500ms", "0", "0:1200", "0:1200,11:0", "0:1200, 11:0"),
            *("yesterday", "-2h", "d", "2d7x", "2026-11-31", "2026-13-01", "2027-02-29T08:00:00Z", "1795420800"),
            *("2026-11-23T08:00:00", "2026-11-23T24:00:00Z", "2026-11-23T08:60:00Z", "0:", "0:1,", "0:1,x:2", "0:-1", "0:+1", "End"),
        }
        [container] = job("replay", "replay")["containers"]
        given = binaries.environment(container)
        del given["SIGNAL_KAFKA_BROKERS"]
        for point in sorted(points):
            with self.subTest(point):
                status, said = binaries.run(container, ["replay", f"--from={point}"], given)
                self.assertIn(status, (1, 2), said)
                taken, _ = chart.template("replay", f"--set-json=replay.from={json.dumps(point)}")
                self.assertEqual(status == 1, taken == 0, said)


class Paths(unittest.TestCase):
    """Probes, and what the gateway leads where, asked of running processes."""

    def test_probes_and_metrics_are_answered(self):
        for component in ("edge", "worker"):
            container = main("minimal", component)
            with binaries.Running(container) as process:
                for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                    path = container[probe]["httpGet"]["path"]
                    # Nothing that it needs is there.
                    expected = 200 if path == "/health/live" else 503
                    self.assertEqual(expected, binaries.ask("GET", process.admin + path), probe)
                self.assertEqual("/health/live", container["livenessProbe"]["httpGet"]["path"])
                self.assertEqual("/health/serving", container["readinessProbe"]["httpGet"]["path"])
                for monitor in chart.of_kind("everything", "ServiceMonitor"):
                    self.assertEqual(200, binaries.ask("GET", process.admin + monitor["spec"]["endpoints"][0]["path"]))
                # Nothing of it is where clients are.
                self.assertEqual(404, binaries.ask("GET", f"{process.http}/metrics"))

    def test_the_gateway_leads_every_operation_to_who_answers_it(self):
        paths = chart.yaml.safe_load((chart.ROOT / "docs/openapi.json").read_text())["paths"]
        for name, base, stream in (("everything", "/v1/api/signal", "/stream"), ("development", "", "/stream"), ("ingress", "/api/live", "/live")):
            routes = list(route(name)) + list(ingress(name))
            with (
                self.subTest(name),
                binaries.Running(main(name, "edge")) as edge,
                binaries.Running(main(name, "worker")) as worker,
            ):
                processes = {"edge": edge, "worker": worker}
                asked = [(method, base + re.sub(r"[{}]", "", path)) for path, item in paths.items() for method in item]
                for method, path in [*asked, ("get", stream)]:
                    [component] = {component for component, matches in routes if matches(path)} or [None]
                    self.assertIsNotNone(component, f"{path} leads nowhere")
                    status = binaries.ask(method.upper(), processes[component].http + path)
                    self.assertNotIn(status, (404, 405, 502), f"{method} {path} of the {component}")
                for path in (f"{base}/metrics", "/health/ready", f"{base}/notification", f"{stream}s", f"{base}/identity/x"):
                    self.assertFalse([component for component, matches in routes if matches(path)], path)

    def test_a_websocket_is_not_ended_by_the_gateway(self):
        [one] = chart.of_kind("everything", "HTTPRoute")
        first, *rest = one["spec"]["rules"]
        self.assertEqual("/stream", first["matches"][0]["path"]["value"])
        self.assertEqual({"request": "0s", "backendRequest": "0s"}, first["timeouts"])
        self.assertEqual(2, len(rest))
        [one] = chart.of_kind("ingress", "Ingress")
        annotation = one["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-read-timeout"]
        self.assertGreaterEqual(int(annotation), 24 * 3600)


def check_configs(name, *more):
    for one, _, spec in chart.pods(name, *more):
        for container in spec.get("initContainers", []):
            yield one, container


def job(name, component):
    [spec] = (spec for one, _, spec in chart.pods(name) if one["kind"] == "Job" and chart.component(one) == component)
    return spec


def main(name, component):
    [spec] = (spec for one, _, spec in chart.pods(name) if one["kind"] == "Deployment" and chart.component(one) == component)
    return spec["containers"][0]


def below(prefix):
    return lambda path: path == prefix or path.startswith(f"{prefix}/")


def exactly(value):
    return lambda path: path == value


def route(name):
    """What an HTTPRoute says, as (component, whether a path is meant)."""
    for one in chart.of_kind(name, "HTTPRoute"):
        for rule in one["spec"]["rules"]:
            component = rule["backendRefs"][0]["name"].rpartition("-")[2]
            for match in rule["matches"]:
                kind, value = match["path"]["type"], match["path"]["value"]
                yield component, exactly(value) if kind == "Exact" else below(value)


def ingress(name):
    for one in chart.of_kind(name, "Ingress"):
        for rule in one["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                component = path["backend"]["service"]["name"].rpartition("-")[2]
                yield component, exactly(path["path"]) if path["pathType"] == "Exact" else below(path["path"])
