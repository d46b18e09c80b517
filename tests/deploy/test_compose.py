"""compose.yaml: valid by the Compose Specification, and true to what it names.

The schema, compose-spec.json, is that of github.com/compose-spec/compose-go v2.16.2, Apache-2.0, unchanged. Whether it
all works together is tested by tests/tests/e2e/topology.rs, which runs the same services as processes.
"""

import ipaddress
import json
import re
import unittest
from pathlib import Path

import jsonschema_rs
import yaml

from repository import ROOT, read, variables

BINARIES = {"edge": "signal-edge", "worker": "signal-worker", "demo": "signal"}
COMPOSE = yaml.safe_load(read("compose.yaml"))
SERVICES = COMPOSE["services"]
# What marks a literal as one that protects nothing.
DEVELOPMENT = "development-only"


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(s|m)", text).groups()
    return int(number) * (60 if unit == "m" else 1)


def environment(service):
    return SERVICES[service].get("environment", {})


def built():
    """Services of Signal's own images, each with its binary."""
    return {name: BINARIES[it["build"]["target"]] for name, it in SERVICES.items() if "build" in it}


def mounts(service):
    """(source, target, mode) of each mount."""
    return [(volume.split(":") + [""])[:3] for volume in SERVICES[service].get("volumes", [])]


class Compose(unittest.TestCase):
    def test_is_valid_by_the_specification(self):
        schema = json.loads(Path(__file__).with_name("compose-spec.json").read_text(encoding="utf-8"))
        wrong = [f"{error.instance_path}: {error.message}" for error in jsonschema_rs.validator_for(schema).iter_errors(COMPOSE)]
        self.assertEqual(wrong, [])

    def test_who_is_waited_for_exists_and_can_be_waited_for(self):
        for name, service in SERVICES.items():
            for other, wanted in service.get("depends_on", {}).items():
                with self.subTest(service=name, waits_for=other):
                    self.assertIn(other, SERVICES)
                    if wanted["condition"] == "service_healthy":
                        self.assertIn("healthcheck", SERVICES[other])
                    if wanted["condition"] == "service_completed_successfully":
                        self.assertEqual(SERVICES[other]["restart"], "no")
                    # Else `up` without the profile would start a part of it.
                    self.assertLessEqual(set(SERVICES[other].get("profiles", [])), set(service.get("profiles", [])))

    def test_nobody_waits_in_a_circle(self):
        def visit(name, path):
            self.assertNotIn(name, path, "waits for itself")
            for other in SERVICES[name].get("depends_on", {}):
                visit(other, [*path, name])

        for name in SERVICES:
            visit(name, [])

    def test_everything_is_migrated_and_there_before_it_is_used(self):
        def before(name):
            direct = SERVICES[name].get("depends_on", {})
            return set(direct).union(*(before(other) for other in direct))

        for edge in ("edge-1", "edge-2"):
            self.assertLessEqual({"redis", "demo", "migrate", "postgres"}, before(edge))
        self.assertLessEqual({"redis", "demo", "migrate", "people", "topics", "kafka"}, before("worker"))
        self.assertLessEqual({"edge-1", "edge-2", "worker", "demo"}, before("proxy"))

    def test_both_topics_of_the_worker_are_made(self):
        topic = re.search(r"^\| `SIGNAL_KAFKA_TOPIC` \| [^|]+ \| `([^`]+)` \|", read("docs/configuration.md"), flags=re.M)[1]
        made = dict(word.split(":") for word in SERVICES["topics"]["command"])
        self.assertEqual(set(made), {topic, f"{topic}.DLQ"})
        self.assertGreater(int(made[topic]), 1, "one partition would keep a second worker idle")

    def test_the_edges_are_alike(self):
        self.assertEqual(SERVICES["edge-1"], SERVICES["edge-2"])

    def test_a_binary_knows_every_variable_that_it_is_given(self):
        for service, binary in built().items():
            with self.subTest(service=service):
                self.assertEqual(set(environment(service)) - variables(binary), set())

    def test_a_health_check_asks_the_binary_that_runs(self):
        for service, binary in built().items():
            check = SERVICES[service].get("healthcheck")
            with self.subTest(service=service):
                if SERVICES[service]["restart"] == "no":
                    self.assertIsNone(check, "it ends")
                else:
                    self.assertEqual(check["test"], ["CMD", f"/usr/local/bin/{binary}", "health"])

    def test_a_stop_is_given_the_time_that_it_takes(self):
        for service in built():
            if SERVICES[service]["restart"] == "no" or service == "demo":
                continue
            deadline = environment(service).get("SIGNAL_SHUTDOWN_DEADLINE", "30s")
            with self.subTest(service=service):
                self.assertGreater(seconds(SERVICES[service]["stop_grace_period"]), seconds(deadline))
                self.assertLess(seconds(environment(service).get("SIGNAL_DRAIN_WINDOW", "0s")), seconds(deadline))

    def test_every_host_in_a_value_is_a_service_and_listens_there(self):
        ports = {"redis": 6379, "postgres": 5432, "kafka": 9092, "demo": 3000, "otel-collector": 4318}
        for service in built():
            for variable, value in environment(service).items():
                for host, port in re.findall(r"(?:^|@|//)([a-z][a-z0-9-]*):(\d+)", str(value)):
                    with self.subTest(service=service, variable=variable):
                        self.assertEqual(ports.get(host), int(port), value)
                        self.assertIn(host, SERVICES)

    def test_every_mounted_file_is_there_and_cannot_be_written(self):
        for service in SERVICES:
            for source, target, mode in mounts(service):
                with self.subTest(service=service, source=source):
                    if source.startswith("./"):
                        self.assertTrue((ROOT / source).exists(), f"{source} is not in the checkout")
                        self.assertEqual(mode, "ro")
                    else:
                        self.assertIn(source, COMPOSE["volumes"])
                    self.assertTrue(target.startswith("/"))
        used = {source for service in SERVICES for source, _, _ in mounts(service) if not source.startswith("./")}
        self.assertEqual(used, set(COMPOSE["volumes"]), "every volume is used")

    def test_ports_are_published_to_this_machine_alone_and_each_once(self):
        taken = []
        for service, it in SERVICES.items():
            for port in it.get("ports", []):
                address, host_port, _ = port.split(":")
                self.assertEqual(address, "127.0.0.1", f"{service} {port}")
                taken.append(host_port)
        self.assertEqual(len(taken), len(set(taken)), taken)
        self.assertIn("127.0.0.1:31090:31090", SERVICES["proxy"]["ports"])
        for service in built():
            self.assertNotIn("ports", SERVICES[service], "everything of Signal's is behind the proxy")

    def test_no_secret_stands_in_it_but_those_marked(self):
        for service in SERVICES:
            for variable, value in environment(service).items():
                value = str(value)
                password = re.search(r"//[^/@\s]*:([^/@\s]+)@", value)
                with self.subTest(service=service, variable=variable):
                    if password:
                        self.assertEqual(password[1], DEVELOPMENT)
                    if re.search(r"PASSWORD|SECRET|TOKEN|_KEY|PROPERTIES", variable) and not value.startswith("${"):
                        self.assertEqual(value, DEVELOPMENT)
        self.assertNotIn("PRIVATE KEY", read("compose.yaml"))

    def test_images_have_versions(self):
        for service, it in SERVICES.items():
            with self.subTest(service=service):
                if "build" in it:
                    self.assertRegex(it["image"], r"^signal-[a-z]+:\$\{SIGNAL_TAG:-dev\}$")
                else:
                    self.assertRegex(it["image"], r":v?\d+\.\d+(\.\d+)?(-alpine)?$")

    def test_nobody_has_more_rights_than_needed(self):
        for service, it in SERVICES.items():
            with self.subTest(service=service):
                self.assertEqual((it["cap_drop"], it["security_opt"]), (["ALL"], ["no-new-privileges:true"]))
                for grant in ("privileged", "cap_add", "pid", "ipc", "network_mode", "devices"):
                    self.assertNotIn(grant, it)
                self.assertFalse(any("docker.sock" in str(mount) for mount in it.get("volumes", [])))
                if not it["read_only"]:
                    self.assertIn(service, ("kafka", "topics"))

    def test_the_edges_believe_the_proxy_and_nobody_else(self):
        proxy = ipaddress.ip_address(SERVICES["proxy"]["networks"]["signal"]["ipv4_address"])
        network = ipaddress.ip_network(COMPOSE["networks"]["signal"]["ipam"]["config"][0]["subnet"])
        self.assertIn(proxy, network)
        # The first host is the bridge's own.
        self.assertNotEqual(proxy, next(network.hosts()))
        self.assertEqual(environment("edge-1")["SIGNAL_TRUSTED_PROXIES"], str(proxy))


class Beside(unittest.TestCase):
    """The files that are mounted."""

    def test_the_proxy_leads_to_services_and_keeps_sockets_open(self):
        text = read("deploy/compose/nginx.conf")
        for host, port in re.findall(r"server ([a-z0-9-]+):(\d+)", text):
            self.assertIn(host, built())
            self.assertEqual(port, "3000")
        upstreams = set(re.findall(r"upstream (\w+)", text))
        self.assertEqual(set(re.findall(r"proxy_pass http://(\w+);", text)), upstreams)
        stream = re.search(r"location = /stream \{(.*?)\}", text, flags=re.S)[1]
        # An edge closes clients that are silent for 90 s.
        self.assertRegex(stream, r"proxy_read_timeout 1h;")
        self.assertNotIn("9090", text)

    def test_the_proxy_follows_its_names_to_other_addresses(self):
        text = read("deploy/compose/nginx.conf")
        # The TTL of Docker's answers is ten minutes.
        self.assertRegex(text, r"\n    resolver 127\.0\.0\.11 valid=[1-5]s ")
        groups = re.findall(r"upstream (\w+) \{(.*?)\}", text, flags=re.S)
        self.assertTrue(groups)
        for name, group in groups:
            with self.subTest(upstream=name):
                self.assertRegex(group, rf"\bzone {name} ", "nginx resolves in shared memory alone")
                servers = re.findall(r"\bserver [^;]+;", group)
                self.assertTrue(servers)
                for server in servers:
                    # Last, as the test of the topology takes it out.
                    self.assertTrue(server.endswith(" resolve;"), server)
        version = re.fullmatch(r"nginx:(\d+)\.(\d+)\.(\d+)-alpine", SERVICES["proxy"]["image"])
        self.assertGreaterEqual(tuple(map(int, version.groups())), (1, 27, 3), "the first that resolves")

    def test_prometheus_asks_everybody_who_has_metrics(self):
        config = yaml.safe_load(read("deploy/compose/prometheus.yml"))
        asked = set()
        for job in config["scrape_configs"]:
            asked |= {target for it in job.get("static_configs", []) for target in it["targets"]}
            for it in job.get("dns_sd_configs", []):
                self.assertEqual(it["type"], "A", "Docker has no other records")
                asked |= {f"{name}:{it['port']}" for name in it["names"]}
        serving = {name for name in built() if SERVICES[name]["restart"] != "no" and name != "demo"}
        self.assertEqual(asked, {f"{name}:9090" for name in serving})
        folders = {target for _, target, _ in mounts("prometheus")}
        for rules in config["rule_files"]:
            self.assertIn(f"/etc/prometheus/{Path(rules).parent}", folders)

    def test_prometheus_finds_each_of_what_may_be_scaled(self):
        config = yaml.safe_load(read("deploy/compose/prometheus.yml"))
        found = {name for job in config["scrape_configs"] for it in job.get("dns_sd_configs", []) for name in it["names"]}
        scaled = set(re.findall(r"--scale ([a-z0-9-]+)=", read("docs/compose.md")))
        self.assertIn("worker", scaled)
        self.assertEqual(found, scaled, "a target that is a name is one of its containers")
        for job in config["scrape_configs"]:
            labels = {it["target_label"] for it in job["relabel_configs"]}
            self.assertEqual(labels, {"namespace", "pod"}, job["job_name"])

    def test_the_collector_is_a_whole_pipeline_to_a_service(self):
        config = yaml.safe_load(read("deploy/compose/otel-collector.yaml"))
        for pipeline in config["service"]["pipelines"].values():
            for kind in ("receivers", "processors", "exporters"):
                self.assertLessEqual(set(pipeline[kind]), set(config[kind]))
        for exporter in config["exporters"].values():
            self.assertIn(exporter["endpoint"].split(":")[0], SERVICES)
        self.assertTrue(config["receivers"]["otlp"]["protocols"]["http"]["endpoint"].endswith(":4318"))

    def test_grafana_finds_its_dashboards_and_sources(self):
        provisioning = ROOT / "deploy/compose/grafana/provisioning"
        sources = yaml.safe_load((provisioning / "datasources/signal.yaml").read_text(encoding="utf-8"))["datasources"]
        for source in sources:
            self.assertIn(re.match(r"http://([a-z-]+):\d+$", source["url"])[1], SERVICES)
        providers = yaml.safe_load((provisioning / "dashboards/signal.yaml").read_text(encoding="utf-8"))["providers"]
        folders = {target for _, target, _ in mounts("grafana")}
        for provider in providers:
            self.assertIn(provider["options"]["path"], folders)
