"""Tests the running service from its own OpenAPI document.

Starts `signal` with everything embedded, then

1. asks every operation without a token, with a bad one and as a person without permissions: 401, 401, 403;
2. lets Schemathesis try every operation as an operator: no 5xx, nothing that the document does not say;
3. lets it try those of notifications as a person who has some;
4. lets it try all of them without a token.

With SEED=random the requests differ from run to run; the seed that was used is printed.
"""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
BASE = "/v1/api/signal"
START_SECONDS = 60
# For each of the runs; the first is the thorough one.
OPERATOR_SECONDS = 45
PERSON_SECONDS = 15
STRANGER_SECONDS = 10
METHODS = ("get", "put", "post", "delete", "patch", "head")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ask(method, url, token=None, body=None):
    """The status and the body of an answer, whatever the status."""
    headers = {"content-type": "application/json"} if body is not None else {}
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method.upper())
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read()


class Service:
    """The all-in-one as a process: free ports, a folder that is removed afterwards."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="signal-api-")
        http, admin = free_port(), free_port()
        self.url, self.admin = f"http://127.0.0.1:{http}", f"http://127.0.0.1:{admin}"
        self.log = open(Path(self.folder.name) / "output", "w+")
        environment = {"SIGNAL_HTTP_ADDR": f"127.0.0.1:{http}", "SIGNAL_ADMIN_ADDR": f"127.0.0.1:{admin}"}
        self.process = subprocess.Popen(
            [TARGET / "debug/signal"], cwd=self.folder.name, env=environment, stdout=self.log, stderr=self.log
        )
        try:
            self.wait_until_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def wait_until_ready(self):
        deadline = time.monotonic() + START_SECONDS
        while True:
            if self.process.poll() is not None:
                sys.exit(f"signal has exited with {self.process.returncode}:\n{self.output()}")
            try:
                status, body = ask("get", f"{self.admin}/health/ready")
                if status == 200:
                    return
                reason = body.decode()
            except OSError as error:
                reason = str(error)
            if time.monotonic() > deadline:
                sys.exit(f"signal is not ready: {reason}\n{self.output()}")
            time.sleep(0.05)

    def output(self):
        self.log.flush()
        return Path(self.log.name).read_text()

    def sign_in(self, person):
        status, body = ask("post", f"{self.url}/demo/sign-in", body={"userId": person})
        assert status == 200, body
        return json.loads(body)["token"]

    def notify(self, person, merchant, count):
        """Takes payments at a merchant of this person's, waits until they are notifications, and returns a token."""
        token = self.sign_in(person)
        for number in range(count):
            payment = {"merchantId": merchant, "amount": "125000", "currency": "VND", "orderCode": f"A-{number}"}
            status, body = ask("post", f"{self.url}/demo/payments", body=payment)
            assert status == 202, body
        deadline = time.monotonic() + START_SECONDS
        while True:
            status, body = ask("get", f"{self.url}{BASE}/notifications/count", token)
            assert status == 200, body
            if json.loads(body)["count"] == count:
                return token
            assert time.monotonic() < deadline, body
            time.sleep(0.05)

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.log.close()
        self.folder.cleanup()


def guard(service, document):
    """What is wrong with who is let in, as lines."""
    wrong = []
    nobody = service.sign_in("user-minh")
    for path, item in document["paths"].items():
        # Any name will do: whether there is such a thing is nobody's business before the token is checked.
        filled = path.replace("{", "").replace("}", "")
        for method in (method for method in METHODS if method in item):
            operation = item[method]
            guarded = bool(operation.get("security", document.get("security")))
            body = {} if "requestBody" in operation else None
            expected = [(None, 401), ("not-a-token", 401)] if guarded else []
            if guarded and "403" in operation["responses"]:
                expected.append((nobody, 403))
            for token, status in expected:
                answered, text = ask(method, f"{service.url}{BASE}{filled}", token, body)
                if answered != status:
                    wrong.append(f"{method.upper()} {path} answers {answered} instead of {status}: {text[:200]!r}")
            if not guarded and ask(method, f"{service.url}{BASE}{filled}", body=body)[0] in (401, 403):
                wrong.append(f"{method.upper()} {path} is public in the document and guarded in fact")
    return wrong


def fuzz(service, seconds, seed, token=None, *more):
    """Whether Schemathesis is content."""
    command = [
        TARGET / "schemathesis/bin/schemathesis",
        "--no-color",
        f"--config-file={Path(__file__).with_name('schemathesis.toml')}",
        "run",
        f"{service.url}{BASE}/doc/openapi.json",
        "--checks=all",
        f"--seed={seed}",
        f"--max-time={seconds}",
        *more,
    ]
    if token is not None:
        command.append(f"--header=Authorization: Bearer {token}")
    # Its caches and reports have no place in the checkout.
    return subprocess.run(command, cwd=service.folder.name).returncode == 0


def main():
    given = os.environ.get("SEED", "1")
    seed = random.randrange(2**32) if given == "random" else int(given)
    print(f"seed {seed}")
    with Service() as service:
        status, body = ask("get", f"{service.url}{BASE}/doc/openapi.json")
        assert status == 200, body
        wrong = guard(service, json.loads(body))
        print("\n".join(wrong))
        results = [
            not wrong,
            fuzz(service, OPERATOR_SECONDS, seed, service.sign_in("operator")),
            fuzz(service, PERSON_SECONDS, seed, service.notify("user-minh", "mer-cafe-79", 25), "--include-tag=Notifications"),
            fuzz(service, STRANGER_SECONDS, seed),
        ]
        if service.process.poll() is not None:
            print(f"signal has exited with {service.process.returncode}:\n{service.output()}")
            results.append(False)
    # As the other runners write it, for the summary of `make test`.
    print(f"# pass {results.count(True)}\n# fail {results.count(False)}")
    return 0 if all(results) else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
