"""Takes the schemas of the custom resources that the chart may render out of their projects' own Go modules.

    target/chart/bin/python tests/chart/crds/extract.py

Needs Go. What is not about shape is left out: descriptions, defaults, rules in CEL. Fields that a schema does not know
are refused, as `kubectl apply` with strict validation does.
"""

import json
import subprocess
from pathlib import Path

import yaml

HERE = Path(__file__).parent
# (module, version, file, kind, version of the resource); all are Apache-2.0.
SOURCES = [
    ("sigs.k8s.io/gateway-api", "v1.6.3", "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml", "HTTPRoute", "v1"),
    ("github.com/prometheus-operator/prometheus-operator", "v0.85.0",
     "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml", "ServiceMonitor", "v1"),
    ("github.com/prometheus-operator/prometheus-operator", "v0.85.0",
     "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml", "PrometheusRule", "v1"),
    ("github.com/kedacore/keda/v2", "v2.21.0", "config/crd/bases/keda.sh_scaledobjects.yaml", "ScaledObject", "v1alpha1"),
]
KEPT = ("type", "required", "enum", "pattern", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems")


def strict(schema):
    """A schema of OpenAPI v3 as Kubernetes has it, as JSON Schema."""
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    made = {key: schema[key] for key in KEPT if key in schema}
    if "properties" in schema:
        made["properties"] = {name: strict(inner) for name, inner in schema["properties"].items()}
        made["additionalProperties"] = bool(schema.get("x-kubernetes-preserve-unknown-fields", False))
    elif isinstance(schema.get("additionalProperties"), dict):
        made["additionalProperties"] = strict(schema["additionalProperties"])
    if "items" in schema:
        made["items"] = strict(schema["items"])
    if schema.get("nullable") and "type" in made:
        made["type"] = [made["type"], "null"]
    return made


def main():
    for module, version, path, kind, served in SOURCES:
        downloaded = subprocess.run(
            ["go", "mod", "download", "-json", f"{module}@{version}"], check=True, capture_output=True, text=True
        )
        folder = Path(json.loads(downloaded.stdout)["Dir"])
        definition = yaml.safe_load((folder / path).read_text())["spec"]
        schema = next(v for v in definition["versions"] if v["name"] == served)["schema"]["openAPIV3Schema"]
        made = strict(schema)
        # The API server's own, and what a controller writes.
        made["properties"]["metadata"] = {"type": "object"}
        made["properties"].pop("status", None)
        made = {"$comment": f"{module} {version}, {path} (Apache-2.0)", **made}
        (HERE / f"{kind.lower()}-{served}.json").write_text(json.dumps(made, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
