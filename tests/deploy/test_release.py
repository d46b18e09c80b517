"""What a release is made of, without building one: the refusals, the notes, the bills of materials."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import jsonschema_rs

from repository import ROOT, TARGET, read, workspace_version

BINARIES = ("signal-edge", "signal-worker")
# What shows in the binary itself which C library is in it.
TRACES = {
    "SQLite": rb"SQLite format 3",
    "librdkafka": rb"librdkafka",
    "jemalloc": rb"<jemalloc>",
    "zlib": rb"inflate \d[\d.]+ Copyright",
    "Zstandard": rb"ZSTD_",
    "AWS-LC": rb"aws_lc_|AWS-LC",
}


def schema(name):
    import cyclonedx

    path = Path(cyclonedx.__file__).parent / "schema" / "_res" / f"{name}.SNAPSHOT.schema.json"
    return json.loads(path.read_text(encoding="utf-8"))


class Checkout:
    """A repository with nothing in it but what the scripts look at."""

    def __init__(self, version="1.2.3", changelog="## 1.2.3 - 2026-11-27\n\n### Added\n\n- A thing.\n"):
        self.folder = tempfile.TemporaryDirectory()
        for path in ("scripts", "charts/signal/Chart.yaml"):
            into = Path(self.folder.name) / path
            into.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if (ROOT / path).is_dir() else shutil.copy)(ROOT / path, into)
        chart = read("charts/signal/Chart.yaml")
        self.write("charts/signal/Chart.yaml", re.sub(r"^(version|appVersion): .*$", r"\1: 1.2.3", chart, flags=re.M))
        self.write("Cargo.toml", f'[workspace.package]\nversion = "{version}"\nedition = "2024"\n\n[workspace]\n')
        self.write("CHANGELOG.md", f"# Changelog\n\n{changelog}\n## 1.2.2 - 2026-01-01\n\n- An older thing.\n")
        self.write(".gitignore", "/target\n")
        self.git("init", "-q")
        self.commit()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.folder.cleanup()

    def write(self, path, text):
        (Path(self.folder.name) / path).write_text(text, encoding="utf-8")

    def git(self, *words):
        who = ["-c", "user.name=Test", "-c", "user.email=test@example.invalid", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *who, *words], cwd=self.folder.name, check=True, capture_output=True)

    def commit(self):
        self.git("add", "--all")
        self.git("commit", "-q", "--allow-empty", "-m", "A commit")

    def run(self, script, *words):
        environment = {name: value for name, value in os.environ.items() if name != "CARGO_TARGET_DIR"}
        command = [f"scripts/{script}", *words]
        done = subprocess.run(command, cwd=self.folder.name, capture_output=True, text=True, env=environment)
        return done.returncode, done.stdout + done.stderr


class Refusals(unittest.TestCase):
    def refused(self, checkout, *said, words=("--check",)):
        status, output = checkout.run("release", *words)
        self.assertNotEqual(status, 0, output)
        for part in said:
            self.assertIn(part, output)

    def test_a_clean_checkout_of_a_dated_version_can_be_built(self):
        with Checkout() as checkout:
            self.assertEqual(checkout.run("release", "--check"), (0, "1.2.3 can be built\n"))
            checkout.git("tag", "v1.2.3")
            self.assertEqual(checkout.run("release", "--check")[0], 0, "it is that commit")

    def test_a_version_without_a_section_or_a_date_is_refused(self):
        with Checkout(changelog="## Unreleased\n\n- A thing.\n") as checkout:
            self.refused(checkout, 'CHANGELOG.md has no section "## 1.2.3"')
        for heading in ("## 1.2.3", "## 1.2.3 - soon", "## [1.2.3] - 2026-13-01"):
            with Checkout(changelog=f"{heading}\n\n- A thing.\n") as checkout:
                self.refused(checkout, "has no date", heading)
        with Checkout(changelog="## 1.2.3 - 2026-11-27\n\n") as checkout:
            self.refused(checkout, "says nothing")

    def test_another_version_is_not_taken_for_it(self):
        for version in ("1x2.3", "11.2.3", "1.2.30"):
            with Checkout(changelog=f"## {version} - 2026-11-27\n\n- A thing.\n") as checkout:
                self.refused(checkout, "has no section")

    def test_changes_are_refused_and_named(self):
        with Checkout() as checkout:
            checkout.write("Cargo.toml", '[workspace.package]\nversion = "1.2.3"\n')
            checkout.write("more", "")
            self.refused(checkout, "The checkout has changes", "Cargo.toml", "more", "--allow-dirty")

    def test_a_version_that_is_another_commit_is_refused(self):
        with Checkout() as checkout:
            checkout.git("tag", "v1.2.3")
            checkout.commit()
            self.refused(checkout, "v1.2.3 is another commit")

    def test_a_chart_of_another_version_is_refused(self):
        with Checkout(version="1.2.2") as checkout:
            self.refused(checkout, "The chart is of 1.2.3", "the workspace of 1.2.2")
        # The package is named by the one, and its images by the other.
        for field, line in (("version", "version: 1.2.2"), ("appVersion", 'appVersion: "1.2.2"'), ("version", "versions: 1.2.3")):
            with Checkout() as checkout:
                chart = (Path(checkout.folder.name) / "charts/signal/Chart.yaml").read_text(encoding="utf-8")
                checkout.write("charts/signal/Chart.yaml", re.sub(f"^{field}: .*$", line, chart, flags=re.M))
                checkout.commit()
                self.refused(checkout, f"({field} in charts/signal/Chart.yaml)", "the workspace of 1.2.3")

    def test_a_charts_version_may_be_quoted(self):
        with Checkout() as checkout:
            chart = (Path(checkout.folder.name) / "charts/signal/Chart.yaml").read_text(encoding="utf-8")
            checkout.write("charts/signal/Chart.yaml", re.sub(r"^(version|appVersion): (.*)$", r'\1: "\2" # both', chart, flags=re.M))
            checkout.commit()
            self.assertEqual(checkout.run("release", "--check"), (0, "1.2.3 can be built\n"))

    def test_a_word_that_is_no_option_is_refused(self):
        with Checkout() as checkout:
            self.refused(checkout, "--alow-dirty is no option", "usage", words=("--alow-dirty",))

    def test_help_says_the_usage_whatever_the_checkout_is(self):
        with Checkout(changelog="") as checkout:
            checkout.write("more", "")
            for words in (("--help",), ("-h",), ("--check", "--help")):
                status, output = checkout.run("release", *words)
                self.assertEqual(status, 0, output)
                self.assertTrue(output.startswith("usage: scripts/release ["), output)
                for part in ("--check ", "--allow-dirty ", "docs/releasing.md"):
                    self.assertIn(part, output)

    def test_what_is_tried_out_is_called_so(self):
        with Checkout(changelog="## Unreleased\n\n- A thing.\n") as checkout:
            checkout.write("more", "")
            self.assertEqual(checkout.run("release", "--check", "--allow-dirty"), (0, "1.2.3-dirty can be built\n"))


class Notes(unittest.TestCase):
    def test_they_are_the_section_and_nothing_else(self):
        for heading in ("## 1.2.3 - 2026-11-27", "## [1.2.3] - 2026-11-27"):
            with Checkout(changelog=f"{heading}\n\n### Added\n\n- A thing.\n") as checkout:
                self.assertEqual(checkout.run("release-notes", "1.2.3"), (0, "### Added\n\n- A thing.\n"))

    def test_whoever_names_no_version_is_told_how(self):
        with Checkout() as checkout:
            for words in ((), ("",), ("1.2.3", "1.2.2"), ("--version",)):
                status, output = checkout.run("release-notes", *words)
                self.assertEqual(status, 1, output)
                self.assertIn("usage: scripts/release-notes VERSION\n", output)
                self.assertNotIn("line ", output)
            for words in (("--help",), ("-h",)):
                status, output = checkout.run("release-notes", *words)
                self.assertEqual(status, 0, output)
                self.assertTrue(output.startswith("usage: scripts/release-notes VERSION\n"), output)

    def test_the_changelog_of_this_repository_can_be_cut(self):
        for version in re.findall(r"^## \[?([^\]\s]+)", read("CHANGELOG.md"), flags=re.M):
            done = subprocess.run([ROOT / "scripts/release-notes", version], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertNotIn("\n## ", done.stdout)


class Bills(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.into = Path(cls.folder.name)
        command = [ROOT / "scripts/sbom", "--into", cls.into]
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, "SOURCE_DATE_EPOCH": "1795000000"})
        cls.bills = {name: json.loads((cls.into / f"{name}.cdx.json").read_text(encoding="utf-8")) for name in BINARIES}

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_they_are_valid_cyclonedx(self):
        registry = jsonschema_rs.Registry([
            (f"http://cyclonedx.org/schema/{name}.SNAPSHOT.schema.json", schema(name)) for name in ("spdx", "jsf-0.82")
        ])
        validator = jsonschema_rs.validator_for(schema("bom-1.6"), registry=registry)
        for name, bill in self.bills.items():
            wrong = [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(bill)]
            self.assertEqual(wrong, [], name)

    def test_every_dependency_of_every_own_crate_is_in_them(self):
        """By the manifests, which cargo's tree was not asked for."""
        for name, bill in self.bills.items():
            components = {it["name"] for it in bill["components"]}
            own = [it["name"] for it in bill["components"] if "purl" not in it] + [name]
            for crate in own:
                path = {"signal-edge": "edge", "signal-worker": "worker"}.get(crate, "shared/" + crate.removeprefix("signal-"))
                section = re.search(r"^\[dependencies\]\n(.*?)(?=^\[|\Z)", read(f"{path}/Cargo.toml"), flags=re.M | re.S)[1]
                for line in filter(None, section.splitlines()):
                    dependency = re.match(r"[\w-]+", line)
                    if dependency and "optional = true" not in line:
                        self.assertIn(dependency[0], components, f"{name}: {crate}")

    def test_what_is_compiled_from_c_is_named_with_the_version_that_is_linked(self):
        versions = {it["name"]: it["version"] for bill in self.bills.values() for it in bill["components"]}
        native = {name: {it["name"] for it in bill["components"] if it.get("properties")} for name, bill in self.bills.items()}
        self.assertLessEqual({"AWS-LC", "SQLite", "jemalloc"}, native["signal-edge"])
        self.assertLessEqual({"AWS-LC", "SQLite", "jemalloc", "librdkafka", "zlib"}, native["signal-worker"])
        self.assertNotIn("librdkafka", native["signal-edge"])
        for name in BINARIES:
            binary = TARGET / "debug" / name
            if not binary.is_file():
                self.skipTest("the binaries are not built")
            content = binary.read_bytes()
            for library in native[name] & set(TRACES):
                # A zlib of the system's is linked here, where there is one; a release has its own.
                if library != "zlib":
                    self.assertRegex(content, TRACES[library], f"{name} has no {library}")
            if "librdkafka" in native[name]:
                self.assertIn(versions["librdkafka"].encode(), content)
            self.assertIn(versions["SQLite"].encode(), content)

    def test_a_crate_that_links_something_unknown_is_refused(self):
        text = read("scripts/sbom").replace('"libsqlite3-sys": (', '"other-sys": (')
        text = text.replace("Path(__file__).resolve().parents[1]", f"Path({str(ROOT)!r})")
        with tempfile.TemporaryDirectory() as folder:
            script = Path(folder) / "sbom"
            script.write_text(text, encoding="utf-8")
            done = subprocess.run(["python3", script, "--into", folder], capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("libsqlite3-sys links sqlite3", done.stderr)

    def test_every_component_has_a_licence_that_is_allowed_and_an_origin(self):
        allowed = set(re.findall(r'"([\w.-]+)"', re.search(r"^allow = \[(.*)\]$", read("deny.toml"), flags=re.M)[1]))
        allowed |= set(re.findall(r'allow = \["([\w.-]+)"\]', read("deny.toml")))
        # Of libraries in C, which cargo-deny does not see: public domain, and what AWS-LC took over.
        allowed |= {"blessing", "BSD-2-Clause"}
        for bill in self.bills.values():
            for it in bill["components"]:
                choice = re.split(r" OR ", it["licenses"][0]["expression"].replace("(", "").replace(")", ""))
                with self.subTest(component=it["name"]):
                    if it["scope"] == "required" and "AWS-LC" not in it["name"]:
                        self.assertTrue(any(set(re.split(r" AND | WITH ", part)) & allowed for part in choice), choice)
                    self.assertTrue(it.get("purl") or it["name"].startswith("signal-"))
                    if it.get("purl", "").startswith("pkg:cargo/"):
                        self.assertRegex(it["hashes"][0]["content"], r"^[0-9a-f]{64}$")

    def test_everything_that_is_referred_to_is_there(self):
        for bill in self.bills.values():
            known = {it["bom-ref"] for it in bill["components"]} | {bill["metadata"]["component"]["bom-ref"]}
            for edge in bill["dependencies"]:
                self.assertLessEqual({edge["ref"], *edge["dependsOn"]}, known)

    def test_the_same_commit_makes_the_same_bytes(self):
        with tempfile.TemporaryDirectory() as folder:
            command = [ROOT / "scripts/sbom", "--into", folder]
            subprocess.run(command, check=True, capture_output=True, env={**os.environ, "SOURCE_DATE_EPOCH": "1795000000"})
            for path in self.into.iterdir():
                self.assertEqual((Path(folder) / path.name).read_bytes(), path.read_bytes())

    def test_they_are_of_this_version(self):
        for bill in self.bills.values():
            self.assertEqual(bill["metadata"]["component"]["version"], workspace_version())

    def test_licence_texts_go_along(self):
        text = (self.into / "THIRD-PARTY-LICENSES.txt").read_text(encoding="utf-8")
        for part in ("tokio 1.", "with librdkafka: BSD-2-Clause", "Magnus Edenhill", "Apache License", "Jason Evans"):
            self.assertIn(part, text)
