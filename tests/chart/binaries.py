"""The binaries that the chart starts, from target/debug, as the chart starts them."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from functools import cache
from pathlib import Path

import chart
import pip._vendor.certifi as certifi

BINARIES = chart.TARGET / "debug"
START_SECONDS = 60
# What a Secret might hold. Nobody is at these addresses.
SECRETS = {
    "SIGNAL_REDIS_URL": "redis://user:password@127.0.0.1:1/0",
    "SIGNAL_NATS_URL": "nats://user:password@127.0.0.1:1",
    "SIGNAL_DATABASE_URL": "postgres://user:password@127.0.0.1:1/platform",
    "SIGNAL_APPLICATION_SECRET": "0123456789abcdef0123456789abcdef",
    "SIGNAL_APPLICATION_SECRET_PREVIOUS": "fedcba9876543210fedcba9876543210",
    "SIGNAL_IDENTITY_KEY": json.loads((chart.ROOT / "tests/vectors/v2.json").read_text())["identity"]["privateKeyPem"],
    "SIGNAL_KAFKA_PROPERTIES": "security.protocol=plaintext",
    "OTEL_EXPORTER_OTLP_HEADERS": "authorization=password",
}


@cache
def reference():
    """What the binaries say that they know."""
    done = subprocess.run([BINARIES / "signal", "config-reference", "--json"], check=True, capture_output=True, text=True, env={})
    return json.loads(done.stdout)


def variables(workload):
    return {variable["name"]: variable for variable in reference()[workload]}


def environment(container):
    """A container's variables with secrets put in, and files where this machine has them."""
    given = {}
    for variable in container["env"]:
        name = variable["name"]
        given[name] = SECRETS[name] if "valueFrom" in variable else variable["value"]
    if "SSL_CERT_FILE" in given:
        given["SSL_CERT_FILE"] = certifi.where()
    return given


def binary(container):
    [path] = container["command"]
    folder, name = os.path.split(path)
    assert folder == "/usr/local/bin", path
    return BINARIES / name


def run(container, arguments, variables):
    """Status and everything that was said."""
    command = [binary(container), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=variables, timeout=START_SECONDS)
    return done.returncode, done.stdout + done.stderr


def ask(method, url):
    request = urllib.request.Request(url, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as refusal:
        return refusal.code


class Running:
    """A workload's container at work, on free ports instead of its own."""

    def __init__(self, container):
        self.container = container

    def __enter__(self):
        http, admin = free_ports(2)
        self.http, self.admin = f"http://127.0.0.1:{http}", f"http://127.0.0.1:{admin}"
        given = environment(self.container)
        given |= {"SIGNAL_HTTP_ADDR": f"127.0.0.1:{http}", "SIGNAL_ADMIN_ADDR": f"127.0.0.1:{admin}"}
        self.log = tempfile.TemporaryFile("w+")
        command = [binary(self.container), *self.container.get("args", [])]
        self.process = subprocess.Popen(command, env=given, stdout=self.log, stderr=self.log)
        try:
            self.wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def wait(self):
        deadline = time.monotonic() + START_SECONDS
        for url in (self.admin, self.http):
            while True:
                try:
                    return_code = self.process.poll()
                    assert return_code is None, self.output()
                    ask("GET", f"{url}/")
                    break
                except OSError:
                    assert time.monotonic() < deadline, self.output()
                    time.sleep(0.02)

    def output(self):
        self.log.seek(0)
        return self.log.read()

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.log.close()


def free_ports(count):
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


# A runner that is ended ends what it started.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
