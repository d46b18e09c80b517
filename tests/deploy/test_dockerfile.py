"""The Dockerfile: by hadolint's rules and by Signal's own, and its build context, without which no build begins."""

import fnmatch
import json
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from repository import ROOT, files, members, read, workspace_version

IMAGES = {"edge": "signal-edge", "worker": "signal-worker", "demo": "signal"}


def instructions():
    """(name, rest) of each instruction, continued lines joined, comments left out."""
    text = "\n".join(line for line in read("Dockerfile").splitlines() if not line.strip().startswith("#"))
    joined = re.sub(r"\\\n\s*", " ", text)
    return [tuple(line.split(None, 1)) for line in joined.splitlines() if line.strip()]


def stages():
    """Name of each stage: (what it is from, its instructions)."""
    found, name = {}, None
    for instruction, rest in instructions():
        if instruction == "FROM":
            base, name = re.fullmatch(r"(\S+) AS (\S+)", rest).groups()
            found[name] = (base, [])
        elif name:
            found[name][1].append((instruction, rest))
    return found


def arguments():
    return dict(rest.split("=", 1) for name, rest in instructions() if name == "ARG" and "=" in rest)


def everything(stage):
    """The instructions of a stage behind those of the stages that it is from."""
    base, own = stages()[stage]
    return (everything(base) if base in stages() else []) + own


def commands():
    """The cargo commands of all RUN instructions."""
    run = " && ".join(rest for name, rest in instructions() if name == "RUN")
    return [part.strip() for part in re.split(r"&&", re.sub(r"--mount=\S+", "", run)) if "cargo " in part]


class Context:
    """What of the checkout the builder is sent, by .dockerignore: the last pattern that fits decides."""

    def __init__(self):
        self.patterns = [line.strip() for line in read(".dockerignore").splitlines() if line.strip() and line[0] != "#"]

    def has(self, path):
        parts = Path(path).parts
        ways = ["/".join(parts[: length + 1]) for length in range(len(parts))]
        left_out = False
        for pattern in self.patterns:
            wanted = pattern.removeprefix("!")
            if any(self.fits(way, wanted) for way in ways):
                left_out = not pattern.startswith("!")
        return not left_out

    @staticmethod
    def fits(way, pattern):
        if pattern.startswith("**/"):
            return fnmatch.fnmatch(way.rsplit("/", 1)[-1], pattern[3:])
        return way.count("/") == pattern.count("/") and fnmatch.fnmatch(way, pattern)

    def files(self):
        return [path for path in files() if self.has(path)]


class Dockerfile(unittest.TestCase):
    def test_hadolint_finds_nothing(self):
        hadolint = Path(sys.executable).with_name("hadolint")
        command = [hadolint, "--no-color", "--failure-threshold", "style", ROOT / "Dockerfile"]
        checked = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual((checked.returncode, checked.stdout, checked.stderr), (0, "", ""))

    def test_the_toolchain_is_that_of_the_repository(self):
        channel = re.search(r'channel = "(.+)"', read("rust-toolchain.toml"))[1]
        self.assertEqual(arguments()["RUST_VERSION"], channel)

    def test_bases_are_pinned_and_builder_and_runtime_are_of_one_debian(self):
        given = arguments()
        bases = [base for base, _ in stages().values() if base not in stages()]
        for base in bases:
            whole = re.sub(r"\$\{(\w+)\}", lambda name: given[name[1]], base)
            with self.subTest(base=whole):
                self.assertRegex(whole, r"^(rust:\d+\.\d+\.\d+-slim-[a-z]+|gcr\.io/distroless/cc-debian\d+:nonroot)$")
        releases = {"bookworm": "12", "trixie": "13"}
        self.assertEqual(releases[given["DEBIAN_CODENAME"]], given["DEBIAN_VERSION"])

    def test_each_image_is_one_binary_without_shell_and_root(self):
        built = stages()
        for stage, binary in IMAGES.items():
            with self.subTest(stage=stage):
                layers = everything(stage)
                last = dict(layers)
                self.assertEqual(last["USER"], "65532:65532")
                self.assertEqual(json.loads(last["ENTRYPOINT"]), [f"/usr/local/bin/{binary}"])
                self.assertEqual((last["EXPOSE"], last["STOPSIGNAL"]), ("3000 9090", "SIGTERM"))
                self.assertNotIn("RUN", last, "there is no shell to run it")
                self.assertTrue(built[built[stage][0]][0].startswith("gcr.io/distroless/"))
                copied = [rest for name, rest in layers if name == "COPY" and "/usr/local/bin/" in rest]
                self.assertEqual(len(copied), 1)
                self.assertTrue(copied[0].endswith(f" /out/{binary} /usr/local/bin/{binary}"), copied)

    def test_what_is_copied_from_a_stage_was_made_by_an_earlier_one(self):
        order = list(stages())
        for index, (stage, (_, own)) in enumerate(stages().items()):
            for name, rest in own:
                source = re.search(r"--from=(\S+).*? (/\S+) ", rest) if name == "COPY" else None
                if source is None:
                    continue
                with self.subTest(stage=stage, copies=source[2]):
                    self.assertIn(source[1], order[:index])
                    made = " ".join(rest for _, rest in everything(source[1]))
                    self.assertIn(source[2].rstrip("/"), made)

    def test_cargo_is_asked_for_what_there_is(self):
        command = ["cargo", "metadata", "--locked", "--offline", "--no-deps", "--format-version", "1"]
        metadata = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)
        packages = {package["name"]: package for package in metadata["packages"]}
        binaries = {it["name"] for package in packages.values() for it in package["targets"] if "bin" in it["kind"]}
        builds = [command for command in commands() if " build " in command or " cook " in command]
        self.assertEqual(len(builds), 3)
        for build in builds:
            with self.subTest(command=build):
                self.assertIn("--locked", build)
                self.assertIn("--release", build)
                asked = set(re.findall(r"--package (\S+)", build))
                self.assertTrue(asked and asked <= set(packages), asked)
                self.assertLessEqual(set(re.findall(r"--bin (\S+)", build)), binaries)
                for feature in re.findall(r"--features[= ](\S+)", build):
                    package, name = feature.split("/")
                    self.assertIn(name, packages[package]["features"])
        cooked, built = (set(re.findall(r"--package (\S+)", build)) for build in builds[:2])
        self.assertEqual(cooked, built, "dependencies are cooked for what is built, else they are built again")
        features = [re.findall(r"--features[= ](\S+)", build) for build in builds[:2]]
        self.assertEqual(features[0], features[1])

    def test_every_image_says_what_it_is_and_whoever_builds_it_says_which(self):
        given = arguments()
        for stage in IMAGES:
            labels = " ".join(rest for name, rest in everything(stage) if name == "LABEL")
            names = set(re.findall(r"org\.opencontainers\.image\.(\w+)=", labels))
            self.assertEqual(names, {"title", "description", "version", "revision", "source", "licenses"})
        self.assertEqual([given[name] for name in ("VERSION", "REVISION", "SOURCE")], ["unknown"] * 3)
        self.assertRegex(workspace_version(), r"^\d+\.\d+\.\d+")


class BuildContext(unittest.TestCase):
    def test_patterns_are_read_as_docker_reads_them(self):
        context = Context()
        for path in ("Cargo.toml", "edge/src/main.rs", "docs/openapi.json", "standalone/page/dist/index.html"):
            self.assertTrue(context.has(path), path)
        for path in (".git/config", "README.md", "docs/testing.md", "fuzz/Cargo.toml", "edge/target/x", ".signal/signal.db",
                     "clients/typescript/package.json", "tests/browser/browser.mjs", ".env"):
            self.assertFalse(context.has(path), path)

    def test_cargo_finds_the_whole_workspace_in_it(self):
        with tempfile.TemporaryDirectory() as folder:
            for path in Context().files():
                into = Path(folder) / path
                into.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / path, into)
            command = ["cargo", "metadata", "--locked", "--offline", "--format-version", "1"]
            found = subprocess.run(command, cwd=folder, capture_output=True, text=True)
            self.assertEqual(found.returncode, 0, found.stderr)
            self.assertEqual(len(json.loads(found.stdout)["workspace_members"]), len(members()))

    def test_it_has_every_file_that_the_sources_include(self):
        context = Context()
        sources = [path for path in context.files() if path.endswith(".rs") and "/src/" in path]
        included = 0
        for source in sources:
            for named in re.findall(r'include_(?:str|bytes)!\(\s*"([^"]+)"', read(source)):
                path = (ROOT / source).parent.joinpath(named).resolve().relative_to(ROOT)
                included += 1
                with self.subTest(source=source):
                    self.assertTrue(context.has(str(path)), f"{path} is not in the build context")
        self.assertGreater(included, 10)

    def test_it_is_small(self):
        size = sum((ROOT / path).stat().st_size for path in Context().files())
        self.assertLess(size, 10 * 1024 * 1024)
