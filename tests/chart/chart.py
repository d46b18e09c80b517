"""The chart as the tests see it: rendered by Helm, or refused by it."""

import os
import subprocess
from functools import cache
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
CHART = ROOT / "charts/signal"
HERE = Path(__file__).parent
# As scripts/helm installs it.
HELM = TARGET / "helm/helm"
# The newest that there are schemas of, and the oldest that the chart is for.
NEWEST, OLDEST = "1.37.0", "1.30.0"
SCENARIOS = sorted(path.stem for path in (HERE / "scenarios").glob("*.yaml"))


def scenario(name):
    return HERE / f"scenarios/{name}.yaml"


def helm(*arguments):
    """Status and everything that it said."""
    # Nothing of the machine's own: no plugins, no cluster.
    environment = {"HOME": str(TARGET / "helm"), "PATH": os.environ["PATH"]}
    done = subprocess.run([HELM, *map(str, arguments)], capture_output=True, text=True, env=environment)
    return done.returncode, done.stdout + done.stderr


def template(name, *more, kubernetes=NEWEST, of=CHART):
    """Status and text of a scenario with further arguments."""
    where = ("--namespace=live", f"--kube-version={kubernetes}")
    return helm("template", "shop", of, *where, f"--values={scenario(name)}", *more)


@cache
def rendered(name, *more):
    status, text = template(name, *more)
    assert status == 0, f"{name}: {text}"
    return text


@cache
def objects(name, *more):
    """The manifests of a scenario."""
    return [document for document in yaml.safe_load_all(rendered(name, *more)) if document]


def of_kind(name, kind, *more):
    return [one for one in objects(name, *more) if one["kind"] == kind]


def pods(name, *more):
    """Every pod template as (object, its labels, its spec)."""
    for one in objects(name, *more):
        if one["kind"] in ("Deployment", "Job"):
            template = one["spec"]["template"]
            yield one, template["metadata"]["labels"], template["spec"]


def containers(spec):
    return spec.get("initContainers", []) + spec["containers"]


def component(one):
    return one["metadata"]["labels"]["app.kubernetes.io/component"]
