"""Where things are in the checkout, and what the binaries say of themselves."""

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def files():
    """All files of the checkout that git would commit, relative to its root."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [path for path in listed.split("\0") if path and (ROOT / path).is_file()]


def variables(binary):
    """The variables that a binary knows, by the generated docs/configuration.md."""
    sections = re.split(r"^## ", read("docs/configuration.md"), flags=re.M)
    section = next(text for text in sections if text.startswith(f"`{binary}`"))
    return set(re.findall(r"^\| `([A-Z_]+)` \|", section, flags=re.M))


def workspace_version():
    section = read("Cargo.toml").split("[workspace.package]")[1].split("\n[")[0]
    return re.search(r'^version = "(.+)"$', section, flags=re.M)[1]


def members():
    block = re.search(r"^members = \[(.*?)^\]", read("Cargo.toml"), flags=re.M | re.S)[1]
    return re.findall(r'"([^"]+)"', block)
