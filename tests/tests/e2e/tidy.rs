//! The rules that a compiler does not hold: layering, sizes, names, links.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every file that is written by hand, relative to the root.
fn files() -> Vec<PathBuf> {
    fn walk(dir: &Path, root: &Path, found: &mut Vec<PathBuf>) {
        const BUILT: [&str; 6] = ["target", "node_modules", "dist", ".git", ".signal", "generated"];
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                if !BUILT.contains(&name) && path != root.join("shared/vectors") {
                    walk(&path, root, found);
                }
            } else {
                found.push(path.strip_prefix(root).unwrap().to_owned());
            }
        }
    }
    let mut found = Vec::new();
    walk(&root(), &root(), &mut found);
    found.sort();
    assert!(found.len() > 50, "the walk found the workspace");
    found
}

fn with_extension(extensions: &[&str]) -> Vec<PathBuf> {
    let has = |path: &PathBuf| path.extension().is_some_and(|found| extensions.iter().any(|wanted| found == *wanted));
    files().into_iter().filter(has).collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

#[track_caller]
fn assert_none(offences: &[String], rule: &str) {
    assert!(offences.is_empty(), "{rule}:\n  {}", offences.join("\n  "));
}

/// The names under `[dependencies]` of a crate; what its tests use is their own affair.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let mut section = "";
    let mut names = BTreeSet::new();
    for line in manifest.lines() {
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_end_matches(']');
            if let Some(name) = section.strip_prefix("dependencies.") {
                names.insert(name.to_owned());
            }
        } else if section == "dependencies" || (section.starts_with("target.") && section.ends_with(".dependencies")) {
            let name = line.split(['.', '=', ' ']).next().unwrap();
            if !name.is_empty() && !name.starts_with('#') {
                names.insert(name.to_owned());
            }
        }
    }
    names
}

#[test]
fn dependencies_point_one_way() {
    // Each crate, and the crates of the workspace that it may depend on.
    const ALLOWED: [(&str, &[&str]); 11] = [
        ("shared/wire", &[]),
        ("shared/seal", &["signal-wire"]),
        ("shared/service", &["signal-wire"]),
        ("shared/bus", &["signal-wire", "signal-seal", "signal-service"]),
        ("shared/auth", &["signal-wire", "signal-seal", "signal-service"]),
        ("edge", &["signal-wire", "signal-seal", "signal-bus", "signal-auth", "signal-service"]),
        ("worker", &["signal-wire", "signal-seal", "signal-bus", "signal-auth", "signal-service"]),
        ("clients/rust", &["signal-wire", "signal-seal"]),
        (
            "standalone",
            &[
                "signal-wire",
                "signal-seal",
                "signal-bus",
                "signal-auth",
                "signal-service",
                "signal-edge",
                "signal-worker",
            ],
        ),
        ("tests/harness", &[]),
        // Scenarios meet the binaries as a stranger would: on their sockets.
        ("tests", &["signal-wire", "signal-seal", "signal-bus", "signal-client", "signal-harness"]),
    ];
    let manifest = read(Path::new("Cargo.toml"));
    let members: Vec<&str> = manifest
        .lines()
        .skip_while(|line| !line.starts_with("members"))
        .skip(1)
        .take_while(|line| !line.starts_with(']'))
        .map(|line| line.trim().trim_matches([',', '"']))
        .collect();
    let named: BTreeSet<&str> = ALLOWED.iter().map(|(member, _)| *member).collect();
    assert_eq!(members.into_iter().collect::<BTreeSet<_>>(), named, "each member has its rule");

    let mut offences = Vec::new();
    for (member, allowed) in ALLOWED {
        for name in dependencies(&read(&Path::new(member).join("Cargo.toml"))) {
            if name.starts_with("signal-") && !allowed.contains(&name.as_str()) {
                offences.push(format!("{member} depends on {name}"));
            }
        }
    }
    assert_none(&offences, "dependencies point one way");
}

#[test]
fn wire_and_seal_are_pure() {
    const IMPURE: [&str; 15] = [
        "tokio",
        "tokio-util",
        "async-trait",
        "futures-util",
        "hyper",
        "hyper-util",
        "axum",
        "tower",
        "tungstenite",
        "redis",
        "rdkafka",
        "sqlx",
        "reqwest",
        "tracing",
        "metrics",
    ];
    let mut offences = Vec::new();
    for member in ["shared/wire", "shared/seal"] {
        for name in dependencies(&read(&Path::new(member).join("Cargo.toml"))) {
            if IMPURE.contains(&name.as_str()) {
                offences.push(format!("{member} depends on {name}"));
            }
        }
    }
    for path in with_extension(&["rs"]) {
        if path.starts_with("shared/wire/src") || path.starts_with("shared/seal/src") {
            for word in ["SystemTime::now", "now_utc()", "Instant::now", "std::net", "std::fs::"] {
                if read(&path).contains(word) {
                    offences.push(format!("{} uses {word}", path.display()));
                }
            }
        }
    }
    assert_none(&offences, "no I/O, no clock, no async in wire and seal");
}

#[test]
fn edge_and_worker_do_not_know_each_other() {
    let mut offences = Vec::new();
    for (member, other) in [("edge", "signal_worker"), ("worker", "signal_edge")] {
        for path in with_extension(&["rs"]) {
            let imports = path.starts_with(member) && read(&path).contains(&format!("use {other}"));
            if imports || (path.starts_with(member) && read(&path).contains(&format!("{other}::"))) {
                offences.push(format!("{} uses {other}", path.display()));
            }
        }
    }
    assert_none(&offences, "edge and worker scale alone");
}

#[test]
fn no_file_is_longer_than_400_lines() {
    let mut offences = Vec::new();
    for path in with_extension(&["rs", "ts", "mjs", "css", "sh"]) {
        let lines = read(&path).lines().count();
        if lines > 400 {
            offences.push(format!("{} has {lines} lines", path.display()));
        }
    }
    assert_none(&offences, "split what is longer than 400 lines");
}

#[test]
fn names_are_the_fields() {
    const VAGUE: [&str; 9] = ["utils", "util", "helpers", "helper", "manager", "managers", "common", "misc", "mod"];
    let mut offences = Vec::new();
    for path in with_extension(&["rs", "ts", "mjs"]) {
        for part in path.iter().map(|part| part.to_str().unwrap()) {
            let stem = part.split('.').next().unwrap();
            if stem.split(['_', '-']).any(|word| VAGUE.contains(&word)) {
                offences.push(path.display().to_string());
            }
        }
    }
    assert_none(&offences, "a name says what a thing is, and foo.rs stands beside foo/");
}

#[test]
fn links_in_documents_resolve() {
    let mut offences = Vec::new();
    for path in with_extension(&["md"]) {
        let text = read(&path);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap();
            if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            if !root().join(&path).parent().unwrap().join(target).exists() {
                offences.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert_none(&offences, "a link leads somewhere");
}

#[test]
fn paths_named_in_the_architecture_exist() {
    let document = Path::new("ARCHITECTURE.md");
    let text = read(document);
    let mut offences = Vec::new();
    for named in text.split('`').skip(1).step_by(2) {
        let is_path = named.contains('/') && named.contains('.') && !named.contains([' ', '{', '*', ':', '$', '<']);
        if is_path && !named.starts_with(['/', '.']) && !root().join(named).exists() {
            offences.push(named.to_owned());
        }
    }
    assert_none(&offences, "ARCHITECTURE.md names files that are there");
}

#[test]
fn nothing_names_a_place_of_one_machine() {
    let foreign = [["/ho", "me/"].concat(), ["/ro", "ot/"].concat(), ["/Us", "ers/"].concat(), ["/wo", "rk/"].concat()];
    let mut offences = Vec::new();
    for path in with_extension(&["rs", "ts", "mjs", "md", "toml", "sql", "json", "yaml", "sh", "css", "html"]) {
        if path.ends_with("package-lock.json") {
            continue;
        }
        for (number, line) in read(&path).lines().enumerate() {
            if foreign.iter().any(|place| line.contains(place.as_str())) {
                offences.push(format!("{}:{}", path.display(), number + 1));
            }
        }
    }
    assert_none(&offences, "paths are relative to the checkout");
}

#[test]
fn nothing_is_left_to_do() {
    let marks =
        [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["to", "do!("].concat(), ["unimple", "mented!("].concat()];
    let mut offences = Vec::new();
    for path in with_extension(&["rs", "ts", "mjs", "sh"]) {
        for (number, line) in read(&path).lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark.as_str())) {
                offences.push(format!("{}:{}", path.display(), number + 1));
            }
        }
    }
    assert_none(&offences, "an issue remembers better than a comment");
}

#[test]
fn every_metric_is_documented() {
    let document = read(Path::new("docs/observing.md"));
    let sources = with_extension(&["rs"]).into_iter().filter(|path| {
        let path = path.to_str().unwrap();
        path.contains("/src/")
            && !path.ends_with("tests.rs")
            && !path.starts_with("tests/")
            && !path.starts_with("clients/")
    });
    let mut named = BTreeSet::new();
    for source in sources {
        // What is between quotes and looks like a metric; binaries and crates are called so, too, without a unit.
        let text = read(&source);
        named.extend(text.split('"').filter(|part| is_metric(part)).map(str::to_owned));
    }
    assert!(named.len() > 30, "{named:?}");
    let missing: Vec<String> = named.into_iter().filter(|name| !document.contains(&format!("| `{name}` |"))).collect();
    assert_none(&missing, "metrics that docs/observing.md lacks");
}

fn is_metric(text: &str) -> bool {
    const UNITS: [&str; 9] =
        ["_total", "_seconds", "_bytes", "_records", "_connections", "_sockets", "_partitions", "_users", "_up"];
    text.starts_with("signal_")
        && UNITS.iter().any(|unit| text.ends_with(unit))
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}
