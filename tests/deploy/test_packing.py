"""What `make release` packs: the real script on this checkout, with a compiler of small programs in the place of cargo's
build, which takes many minutes. Everything else, bills and chart among it, is made as in a release.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import unittest
from pathlib import Path

from repository import ROOT, TARGET, files, read, workspace_version

HELM = TARGET / "helm/helm"
BINARIES = ("signal-edge", "signal-worker")
CARGO = """#!/bin/sh
[ "$1" = build ] || exec "$CARGO_IN_PLACE_OF" "$@"
mkdir -p "$CARGO_TARGET_DIR/release"
for binary in signal-edge signal-worker; do
  echo "#include <stdio.h>
        int main(void) { return puts(\\"$binary $SAYS\\") < 0; }" >"$CARGO_TARGET_DIR/release/$binary.c"
  (cd "$CARGO_TARGET_DIR/release" && cc -g $CFLAGS -o "$binary" "$binary.c" $LINKS)
done
"""


class Release:
    """A copy of this checkout, with a dated changelog, in a folder of its own."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = Path(self.folder.name)
        for path in files():
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, self.root / path)
        dated = f"## {workspace_version()} - 2026-11-27"
        changelog = re.sub(r"^## (Unreleased|\[?[\d.]+.*)$", dated, read("CHANGELOG.md"), count=1, flags=re.M)
        (self.root / "CHANGELOG.md").write_text(changelog, encoding="utf-8")
        (self.root / ".gitignore").write_text("/target\n/bin\n", encoding="utf-8")
        (self.root / "bin").mkdir()
        (self.root / "bin/cargo").write_text(CARGO, encoding="utf-8")
        (self.root / "bin/cargo").chmod(0o755)
        # Where scripts/helm has built it.
        (self.root / "target").mkdir()
        (self.root / "target/helm").symlink_to((TARGET / "helm").resolve())
        self.git("init", "-q")
        self.git("add", "--all")
        self.git("commit", "-q", "-m", "A commit")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.folder.cleanup()

    def git(self, *words):
        who = ["-c", "user.name=Test", "-c", "user.email=test@example.invalid", "-c", "commit.gpgsign=false"]
        when = {"GIT_AUTHOR_DATE": "2026-11-27T00:00:00Z", "GIT_COMMITTER_DATE": "2026-11-27T00:00:00Z"}
        subprocess.run(["git", *who, *words], cwd=self.root, check=True, capture_output=True, env={**os.environ, **when})

    def make(self, says="", links=""):
        """What became of it: the status, and all that was said."""
        environment = {name: value for name, value in os.environ.items() if name != "CARGO_TARGET_DIR"}
        environment |= {"PATH": f"{self.root / 'bin'}:{os.environ['PATH']}", "CARGO_IN_PLACE_OF": shutil.which("cargo"),
                        "SAYS": says.replace("HERE", str(self.root)), "LINKS": links}
        done = subprocess.run(["scripts/release"], cwd=self.root, capture_output=True, text=True, env=environment)
        return done.returncode, done.stdout + done.stderr

    @property
    def made(self):
        return self.root / f"target/release-{workspace_version()}"


@unittest.skipUnless(HELM.exists(), "needs Helm, which scripts/helm builds")
class Packing(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.release = Release()
        status, output = cls.release.make()
        assert status == 0, output

    @classmethod
    def tearDownClass(cls):
        cls.release.folder.cleanup()

    def archive(self, debug=False):
        [path] = (it for it in self.release.made.glob("*.tar.gz") if ("-debug" in it.name) == debug)
        return path

    def test_the_archive_has_what_the_documentation_says(self):
        path = self.archive()
        with tarfile.open(path) as archive:
            members = archive.getmembers()
        names = {Path(member.name).name for member in members}
        expected = {*BINARIES, *(f"{name}.cdx.json" for name in BINARIES), "LICENSE", "CHANGELOG.md", "THIRD-PARTY-LICENSES.txt"}
        self.assertEqual(names, expected | {path.name.removesuffix(".tar.gz")})
        for member in members:
            self.assertEqual((member.uid, member.gid, member.mode & 0o022), (0, 0, 0), member.name)

    def test_binaries_run_stripped_and_their_symbols_are_beside(self):
        with tempfile.TemporaryDirectory() as folder:
            for debug in (False, True):
                subprocess.run(["tar", "-xzf", self.archive(debug), "-C", folder], check=True)
            for binary in BINARIES:
                [path] = Path(folder).glob(f"*/{binary}")
                self.assertEqual(subprocess.run([path], capture_output=True, text=True).stdout.split(), [binary])
                sections = subprocess.run(["readelf", "-S", "-W", path], capture_output=True, text=True).stdout
                self.assertNotIn(".debug_info", sections)
                self.assertNotIn(".symtab", sections)
                self.assertIn(".gnu_debuglink", sections)
                [symbols] = Path(folder).glob(f"*-debug/{binary}.debug")
                sections = subprocess.run(["readelf", "-S", "-W", symbols], capture_output=True, text=True).stdout
                self.assertIn(".debug_info", sections)

    def test_checksums_are_of_everything(self):
        lines = (self.release.made / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
        sums = dict(reversed(line.split("  ")) for line in lines)
        there = {path.name for path in self.release.made.iterdir()} - {"SHA256SUMS"}
        self.assertEqual(set(sums), there)
        for name, stated in sums.items():
            self.assertEqual(hashlib.sha256((self.release.made / name).read_bytes()).hexdigest(), stated)
        chart = f"signal-{workspace_version()}.tgz"
        self.assertLessEqual({chart, "RELEASE_NOTES.md", *(f"{name}.cdx.json" for name in BINARIES)}, there)

    def test_the_notes_are_the_changelogs(self):
        self.assertTrue((self.release.made / "RELEASE_NOTES.md").read_text(encoding="utf-8").startswith("### "))

    def test_the_same_commit_elsewhere_makes_the_same_bytes(self):
        with Release() as elsewhere:
            status, output = elsewhere.make()
            self.assertEqual(status, 0, output)
            mine, other = ((it.made / "SHA256SUMS").read_text(encoding="utf-8") for it in (self.release, elsewhere))
            self.assertEqual(mine, other)

    def test_a_binary_that_names_where_it_was_built_is_refused(self):
        with Release() as release:
            status, output = release.make(says="HERE")
            self.assertNotEqual(status, 0)
            self.assertIn(f"signal-edge names {release.root}", output)

    def test_a_binary_that_needs_what_the_image_has_not_is_refused(self):
        with Release() as release:
            status, output = release.make(links="-Wl,--no-as-needed -lresolv")
            self.assertNotEqual(status, 0)
            self.assertIn("signal-edge needs libresolv.so.2", output)

    def test_the_bills_are_of_the_features_that_are_built(self):
        bill = json.loads((self.release.made / "signal-worker.cdx.json").read_text(encoding="utf-8"))
        features = re.search(r"^features=(.*)$", read("scripts/release"), flags=re.M)[1]
        self.assertIn("--features \"$features\"", re.search(r" cargo build .*$", read("scripts/release"), flags=re.M)[0])
        if "kafka-tls" in features:
            self.assertIn("OpenSSL", {it["name"] for it in bill["components"]})
