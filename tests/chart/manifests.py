"""The JSON schemas of everything that the chart may render, strict: a field that nobody knows is an error.

Those of Kubernetes itself come with kubernetes-validate, made from its own OpenAPI document; those of custom resources
are in `crds/`.
"""

import json
from functools import cache
from pathlib import Path

import jsonschema
import kubernetes_validate
import referencing

SCHEMAS = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
CRDS = Path(__file__).with_name("crds")


@cache
def validator(api_version, kind, kubernetes):
    group, _, version = api_version.rpartition("/")
    crd = CRDS / f"{kind.lower()}-{version}.json"
    if crd.exists():
        return jsonschema.Draft202012Validator(json.loads(crd.read_text()))
    folder = SCHEMAS / f"v{kubernetes}-local-strict"
    name = "-".join(part for part in (kind.lower(), group.split(".")[0], version) if part)
    schema = json.loads((folder / f"{name}.json").read_text())
    return jsonschema.Draft202012Validator(schema, registry=registry(folder))


@cache
def registry(folder):
    def retrieve(uri):
        contents = json.loads((folder / uri.rsplit("/", 1)[-1]).read_text())
        return referencing.Resource.from_contents(contents, referencing.jsonschema.DRAFT202012)

    return referencing.Registry(retrieve=retrieve)


def wrong(manifest, kubernetes):
    """What of a manifest its schema does not allow, as lines."""
    of = validator(manifest["apiVersion"], manifest["kind"], kubernetes)
    return [f"{error.json_path}: {error.message[:200]}" for error in of.iter_errors(manifest)]
