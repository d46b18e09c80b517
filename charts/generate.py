"""Writes what of the chart follows from something else, so that it can't drift:

- from the binaries' own reference (`signal config-reference --json`): the variables in `values.schema.json`, each with
  its kind, and `files/defaults.json`, which templates read;
- from the binary itself, which is asked what it takes (`signal check-config`): the bounds of numbers, also of those that are
  written as text, whether a duration or a size may be 0, and whether a path may be the root;
- from the workspace: the version and appVersion in `Chart.yaml`;
- from the comments of `values.yaml`: the descriptions in the schema, and the table of values in `README.md`.

    generate.py BINARY          writes
    generate.py BINARY --check  says what is not current, and fails

BINARY is `signal`. Needs PyYAML, which the environment of scripts/chart-checks has.
"""

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

CHART = Path(__file__).with_name("signal")
# The chart sets them itself: containers, probes and services go by its ports.
OWN = {"SIGNAL_HTTP_ADDR": "the chart's own: it is port 3000", "SIGNAL_ADMIN_ADDR": "the chart's own: it is port 9090"}
BEGIN, END = "<!-- values: generated, see charts/generate.py -->", "<!-- end of values -->"

UNITS = "(ms|s|m|h)"
KINDS = {
    "duration": {"type": "string", "pattern": f"^(0|([0-9]+{UNITS})+)$"},
    "size": {"type": ["string", "integer"], "minimum": 0, "pattern": "^[0-9]+( ?([KMGkmg][Ii]?)?[Bb])?$"},
    "integer": {"type": ["integer", "string"], "minimum": 0, "pattern": "^[0-9]+$"},
    "number": {"type": ["number", "string"], "pattern": "^[0-9]*[.]?[0-9]+$"},
    "switch": {"type": "boolean"},
    "url": {"type": "string", "pattern": "^(https?://[^ ]+)?$"},
    "path": {"type": "string", "pattern": "^/([A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*/?)?$"},
    "text": {"type": "string"},
}
# Of text of which the binaries take not all. Empty is not set.
TOPIC = {"pattern": "^[A-Za-z0-9._-]*$", "maxLength": 249}
TEXTS = {"SIGNAL_KAFKA_TOPIC": TOPIC, "SIGNAL_KAFKA_DEAD_LETTER_TOPIC": TOPIC}
BELOW_ROOT = "^/[A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*/?$"
# The same where 0 is refused.
ABOVE_ZERO = {
    "duration": {"pattern": f"^([0-9]+{UNITS})*[0-9]*[1-9][0-9]*{UNITS}([0-9]+{UNITS})*$"},
    "size": {"minimum": 1, "pattern": "^[0-9]*[1-9][0-9]*( ?([KMGkmg][Ii]?)?[Bb])?$"},
    "integer": {"pattern": "^0*[1-9][0-9]*$"},
    "number": {},
}
# Beyond it not every reader of JSON tells a number from the next.
GREATEST = 2**53 - 1


def variable_schema(variable):
    # Null takes out what a layer below has set.
    if variable["kind"] == "choice":
        shape = {"enum": [*variable["values"], None]}
    else:
        shape = {**KINDS[variable["kind"]], **variable.get("bounds", {})}
        if variable.get("above_zero"):
            shape.update(ABOVE_ZERO[variable["kind"]])
        if "maximum" in shape:
            shape["pattern"] = written(variable["kind"], shape["minimum"], shape["maximum"])
        if variable.get("below_root"):
            shape["pattern"] = BELOW_ROOT
        shape.update(TEXTS.get(variable["name"], {}))
        types = shape["type"] if isinstance(shape["type"], list) else [shape["type"]]
        shape = {**shape, "type": [*types, "null"]}
    default = {"default": variable["default"]} if "default" in variable else {}
    return {"description": variable["meaning"], **default, **shape}


def written(kind, least, most):
    """A pattern of the numbers between two that are written as text."""
    if kind == "integer":
        return f"^0*({'|'.join(([] if least else ['0']) + up_to(most))})$"
    assert least == 0, "a fraction that may not be 0"
    below = "|".join(["0", *(up_to(most - 1) if most > 1 else [])])
    return f"^0*(({below})([.][0-9]*)?|[.][0-9]+|{most}([.]0*)?)$"


def up_to(most):
    """Patterns of the numbers from 1 to `most`, without zeros before them."""
    text = str(most)

    def digits(count):
        return f"[0-9]{{{count}}}" if count > 1 else "[0-9]" * count

    shorter = [f"[1-9][0-9]{{0,{len(text) - 2}}}"] if len(text) > 1 else []
    same = [
        f"{text[:place]}[{0 if place else 1}-{int(digit) - 1}]{digits(len(text) - place - 1)}"
        for place, digit in enumerate(text)
        if int(digit) > (0 if place else 1)
    ]
    return [*shorter, *same, text]


def refused(why):
    """A property that can't be set: validators quote the constant, and so the reason, and never the value."""
    return {"description": f"Not here: {why}", "const": f"({why})"}


def settings(reference):
    """The definitions of the schema that are made of variables."""
    known = {workload: {v["name"]: v for v in reference[workload]} for workload in ("edge", "worker")}
    every = {**known["worker"], **known["edge"]}
    both = [name for name in known["edge"] if name in known["worker"]]

    def plain(names):
        properties = {}
        for name in sorted(every):
            owners = [workload for workload in known if name in known[workload]]
            if name in OWN:
                properties[name] = refused(OWN[name])
            elif every[name]["secret"]:
                where = "secrets" if len(owners) == 2 else f"{owners[0]}.secrets"
                properties[name] = refused(f"a secret: give a reference, in {where}")
            elif name in names:
                properties[name] = variable_schema(every[name])
            else:
                properties[name] = refused(f"a variable of the {owners[0]} alone: {owners[0]}.config")
        return {"type": "object", "additionalProperties": False, "properties": properties}

    def secret(names):
        properties = {}
        for name in sorted(name for name in every if every[name]["secret"]):
            owners = [workload for workload in known if name in known[workload]]
            if name in names:
                properties[name] = {"$ref": "#/$defs/secretKey", "description": every[name]["meaning"]}
            else:
                properties[name] = refused(f"a secret of the {owners[0]} alone: {owners[0]}.secrets")
        return {"type": "object", "additionalProperties": False, "properties": properties}

    migrate = secret(known["worker"])
    migrate["properties"] = {"SIGNAL_DATABASE_URL": migrate["properties"]["SIGNAL_DATABASE_URL"]}
    return {
        "sharedConfig": plain(both),
        "edgeConfig": plain(known["edge"]),
        "workerConfig": plain(known["worker"]),
        "sharedSecrets": secret(both),
        "edgeSecrets": secret(known["edge"]),
        "workerSecrets": secret(known["worker"]),
        "migrateSecrets": migrate,
    }


def defaults(reference):
    """Every variable of each workload, with what it is if nobody sets it."""
    of = {workload: {v["name"]: v.get("default", "") for v in reference[workload]} for workload in ("edge", "worker")}
    of["edge"]["SIGNAL_DRAIN_WINDOW"] = reference["drain"]["window"]
    return {"drainReserve": reference["drain"]["reserve"], **of}


def described(text):
    """The values of `values.yaml` that have a comment, as (path, description)."""
    found, path, said = [], [], None
    for line in text.splitlines():
        if not line.strip():
            said = None
        elif re.match(r" *# -- ", line):
            said = line.split("# -- ", 1)[1]
        elif re.match(r" *# ", line):
            said = None if said is None else f"{said} {line.split('# ', 1)[1]}"
        elif key := re.match(r"( *)([A-Za-z]+):", line):
            path = path[: len(key[1]) // 2] + [key[2]]
            if said is not None:
                found.append((tuple(path), said))
            said = None
    return found


def leaves(values, path=()):
    """Every value: what is not a map, or a map that a user fills."""
    for key, value in values.items():
        here = (*path, key)
        filled_by_user = key in ("config", "secrets", "labels", "annotations", "resources") or value == {}
        if isinstance(value, dict) and not filled_by_user:
            yield from leaves(value, here)
        else:
            yield here, value


def describe(schema, path, text):
    for key in path:
        schema = schema["properties"][key]
    rest = dict(schema)
    schema.clear()
    schema.update({"description": text, **{key: value for key, value in rest.items() if key != "description"}})


def table(values, descriptions):
    rows = ["| value | default | meaning |", "|---|---|---|"]
    shown = set()
    for path, value in leaves(values):
        # What stands above a group goes before the first of it.
        for depth in range(1, len(path)):
            group = path[:depth]
            if group in descriptions and group not in shown:
                shown.add(group)
                rows.append(f"| **`{'.'.join(group)}`** | | {cell(descriptions[group])} |")
        rows.append(f"| `{'.'.join(path)}` | `{json.dumps(value)}` | {cell(descriptions.get(path, ''))} |")
    return "\n".join(rows)


def cell(text):
    return text.replace("|", "\\|")


def workspace_version():
    manifest = (CHART.parents[1] / "Cargo.toml").read_text()
    return re.search(r'^\[workspace\.package\]\nversion = "(.+)"$', manifest, re.M)[1]


def generated(reference):
    """Path and text of every file that is not written by hand alone."""
    text = (CHART / "values.yaml").read_text()
    descriptions = dict(described(text))
    schema = json.loads((CHART / "values.schema.json").read_text())
    schema["$defs"].update(settings(reference))
    for path, said in descriptions.items():
        describe(schema, path, said)
    readme = (CHART / "README.md").read_text()
    before, rest = readme.split(BEGIN)
    after = rest.split(END)[1]
    chart = (CHART / "Chart.yaml").read_text()
    version = workspace_version()
    chart = re.sub(r"^(version|appVersion): .*$", rf"\g<1>: {version}", chart, flags=re.M)
    return {
        "values.schema.json": json.dumps(schema, indent=2, ensure_ascii=False) + "\n",
        "files/defaults.json": json.dumps(defaults(reference), indent=2) + "\n",
        "README.md": f"{before}{BEGIN}\n\n{table(yaml.safe_load(text), descriptions)}\n\n{END}{after}",
        "Chart.yaml": chart,
    }


def stale(reference):
    """Names of files that are not what they would be made."""
    names = []
    for name, text in generated(reference).items():
        path = CHART / name
        if not path.exists() or path.read_text() != text:
            names.append(name)
    return names


def read_reference(binary):
    """What the binary says of its variables, and what it takes of those that are a quantity."""
    output = subprocess.run([binary, "config-reference", "--json"], check=True, capture_output=True, text=True, env={})
    reference = json.loads(output.stdout)
    every = [variable for workload in ("edge", "worker") for variable in reference[workload]]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda variable: find_bounds(binary, variable), every))
    return reference


def find_bounds(binary, variable):
    if variable["kind"] not in (*ABOVE_ZERO, "path") or variable["secret"]:
        return
    name = variable["name"]

    def takes(value):
        done = subprocess.run([binary, "check-config"], capture_output=True, text=True, env={name: str(value)})
        return f"{name}: invalid value" not in done.stdout + done.stderr

    if variable["kind"] == "path":
        variable["below_root"] = not takes("/")
        return
    variable["above_zero"] = not takes(0)
    if variable["kind"] in ("integer", "number"):
        variable["bounds"] = bounds(takes, int(float(variable.get("default", 1))))


def bounds(takes, taken):
    """The least number and the greatest, if there is one; `taken` is between them."""
    found = {"minimum": 0 if takes(0) else last(takes, taken, 0)}
    if takes(GREATEST):
        return found
    while takes(2 * taken + 1):
        taken = 2 * taken + 1
    return {**found, "maximum": last(takes, taken, 2 * taken + 1)}


def last(takes, taken, refused):
    """Of the numbers from one that is taken to one that is refused the last that is taken."""
    while abs(taken - refused) > 1:
        middle = (taken + refused) // 2
        taken, refused = (middle, refused) if takes(middle) else (taken, middle)
    return taken


def main():
    reference = read_reference(sys.argv[1])
    if "--check" in sys.argv:
        names = stale(reference)
        print("".join(f"charts/signal/{name} is not current\n" for name in names), end="")
        return 1 if names else 0
    for name, text in generated(reference).items():
        (CHART / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
