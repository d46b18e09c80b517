//! The rules and dashboards that Signal ships, as files: each alert is tested and explained, and what they name is there.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use signal_harness::{Prometheus, require, scratch_dir};

use crate::promql;

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn files_of(folder: &str, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|found| found == extension)).collect();
    files.sort();
    assert!(!files.is_empty(), "{folder} has files");
    files
}

pub fn rule_files() -> Vec<PathBuf> {
    files_of("charts/signal/alerts", "yaml")
}

fn test_files() -> Vec<PathBuf> {
    files_of("tests/alerts", "yaml")
}

/// The alerts by their name, as often as they are there.
fn alerts() -> Vec<String> {
    values_of("- alert: ", &rule_files())
}

/// What stands behind a key at the beginning of a line.
fn values_of(key: &str, files: &[PathBuf]) -> Vec<String> {
    let texts: Vec<_> = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let lines = texts.iter().flat_map(|text| text.lines());
    lines.filter_map(|line| line.trim().strip_prefix(key)).map(|value| value.trim().to_owned()).collect()
}

#[track_caller]
fn assert_none(offences: &[String], rule: &str) {
    assert!(offences.is_empty(), "{rule}:\n  {}", offences.join("\n  "));
}

#[tokio::test]
async fn each_alert_fires_when_it_should_and_no_other_time() {
    require!(Prometheus);
    let folder = root().join("tests/alerts");
    let names: Vec<_> = test_files().into_iter().map(|file| file.display().to_string()).collect();
    let arguments: Vec<&str> = ["test", "rules"].into_iter().chain(names.iter().map(String::as_str)).collect();
    Prometheus::promtool(&arguments, &folder).await.unwrap_or_else(|said| panic!("{said}"));
}

#[test]
fn each_alert_is_tested_both_ways() {
    let mut fires = BTreeSet::new();
    let mut silent = BTreeSet::new();
    for file in test_files() {
        let text = fs::read_to_string(&file).unwrap();
        let mut alert = String::new();
        for part in text.split_inclusive(['\n', ',']).map(|part| part.trim().trim_end_matches([',', '}']).trim()) {
            if let Some(name) = part.strip_prefix("alertname: ") {
                name.clone_into(&mut alert);
            } else if let Some(expected) = part.strip_prefix("exp_alerts:") {
                if expected.trim() == "[]" { &mut silent } else { &mut fires }.insert(alert.clone());
            }
        }
    }
    let alerts: BTreeSet<String> = alerts().into_iter().collect();
    assert!(alerts.len() > 20, "{alerts:?}");
    assert_eq!(fires, alerts, "each alert is made to fire, and no other is named");
    assert_eq!(silent, alerts, "and is silent when all is well");
}

#[test]
fn each_alert_has_its_section_in_the_runbook_and_each_section_its_alert() {
    let runbook = read("docs/operations.md");
    let sections: BTreeSet<&str> = runbook.lines().filter_map(|line| line.strip_prefix("### Signal")).collect();
    let alerts = alerts();
    let named: BTreeSet<&str> = alerts.iter().filter_map(|alert| alert.strip_prefix("Signal")).collect();
    assert_eq!(sections, named);

    // GitHub makes anchors of headings by writing them small.
    let anchors = values_of("runbook: docs/operations.md#", &rule_files());
    let expected: Vec<_> = alerts.iter().map(|alert| alert.to_lowercase()).collect();
    assert_eq!(anchors, expected, "each alert leads to its own section");
    let severities = values_of("severity: ", &rule_files());
    assert_eq!(severities.len(), alerts.len());
    assert!(severities.iter().all(|severity| ["page", "ticket"].contains(&severity.as_str())), "{severities:?}");
}

#[test]
fn each_section_of_an_alert_answers_the_same_questions() {
    let runbook = read("docs/operations.md");
    let mut offences = Vec::new();
    for section in runbook.split("\n### ").skip(1).filter(|section| section.starts_with("Signal")) {
        let (title, text) = section.split_once('\n').unwrap();
        let text = text.split("\n## ").next().unwrap();
        for question in ["**Means.**", "**Felt by.**", "**Confirm.**", "**Do.**", "**Do not.**", "**Ends.**"] {
            if text.matches(question).count() != 1 {
                offences.push(format!("{title}: {question}"));
            }
        }
    }
    assert_none(&offences, "a reader at night knows where to look");
}

/// The dashboards, by file name.
pub fn dashboards() -> BTreeMap<String, Value> {
    let name = |file: &Path| file.file_name().unwrap().to_str().unwrap().to_owned();
    let parsed = |file: &Path| serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    files_of("charts/signal/dashboards", "json").iter().map(|file| (name(file), parsed(file))).collect()
}

pub fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    dashboard["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row")
}

/// A panel's expressions, with what Grafana would put for its variables.
pub fn expressions(panel: &Value) -> Vec<String> {
    let mut expressions = Vec::new();
    for target in panel["targets"].as_array().unwrap() {
        let mut expression = target["expr"].as_str().unwrap().to_owned();
        for (variable, value) in
            [("$__rate_interval", "1m"), ("$namespace", ".*"), ("$job", ".*"), ("$pod", ".*"), ("$instance", ".*")]
        {
            expression = expression.replace(variable, value);
        }
        assert!(!expression.contains('$'), "a variable that nobody sets: {expression}");
        expressions.push(expression);
    }
    expressions
}

#[test]
fn panels_have_places_units_and_links_of_their_own() {
    let alerts: BTreeSet<String> = alerts().iter().map(|alert| alert.to_lowercase()).collect();
    let mut linked = BTreeSet::new();
    for (file, dashboard) in dashboards() {
        let all = dashboard["panels"].as_array().unwrap();
        let ids: BTreeSet<u64> = all.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
        assert_eq!(ids.len(), all.len(), "{file}: every panel has an id of its own");
        let mut taken = BTreeMap::new();
        for panel in all {
            let title = panel["title"].as_str().unwrap();
            let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
            assert!(w > 0 && h > 0 && x + w <= 24, "{file}: {title} stands beside the grid");
            for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                let before = taken.insert(cell, title);
                assert_eq!(before, None, "{file}: {title} stands on another panel");
            }
        }
        for panel in panels(&dashboard) {
            let title = panel["title"].as_str().unwrap();
            assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{file}: {title} has no unit");
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{file}: {title} asks a place of its own");
            for link in panel["links"].as_array().into_iter().flatten() {
                let url = link["url"].as_str().unwrap();
                let anchor = url.strip_prefix("${runbook}#").unwrap_or_else(|| panic!("{file}: {title}: {url}"));
                assert!(alerts.contains(anchor), "{file}: {title} leads to no alert: {anchor}");
                linked.insert(anchor.to_owned());
            }
        }
    }
    assert_eq!(linked, alerts, "each alert has a panel that shows it");
}

#[tokio::test]
async fn what_panels_ask_can_be_read() {
    require!(Prometheus);
    let dashboards = dashboards();
    let asked = dashboards.values().flat_map(panels).flat_map(expressions);
    let rules: Vec<_> =
        asked.enumerate().map(|(n, expr)| json!({ "record": format!("panel:{n}"), "expr": expr })).collect();
    let folder = scratch_dir("panels");
    let file = json!({ "groups": [{ "name": "panels", "rules": rules }] });
    fs::write(folder.join("panels.yaml"), file.to_string()).unwrap();
    Prometheus::promtool(&["check", "rules", "panels.yaml"], &folder).await.unwrap_or_else(|said| panic!("{said}"));
}

#[test]
fn what_is_named_is_exposed() {
    let documented = read("docs/observing.md");
    let recorded: BTreeSet<String> = values_of("- record: ", &rule_files()).into_iter().collect();
    let mut texts: Vec<(String, String)> = vec![("docs/operations.md".to_owned(), read("docs/operations.md"))];
    texts.extend(rule_files().iter().map(|file| (file.display().to_string(), fs::read_to_string(file).unwrap())));
    texts.extend(test_files().iter().map(|file| (file.display().to_string(), fs::read_to_string(file).unwrap())));
    for (file, dashboard) in dashboards() {
        texts.push((file, panels(&dashboard).flat_map(expressions).collect::<Vec<_>>().join("\n")));
    }
    let mut offences = Vec::new();
    for (file, text) in texts {
        let names = promql::metrics(&text);
        assert!(!names.is_empty(), "{file} names metrics");
        for name in names {
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
            let known = |name: &str| documented.contains(&format!("| `{name}` |"));
            if !recorded.contains(&name) && !known(&name) && !base.is_some_and(known) {
                offences.push(format!("{file}: {name}"));
            }
        }
    }
    assert_none(&offences, "metrics that docs/observing.md, and so the code, does not know");
}

/// Labels' values come from the code: a result that is called otherwise there would never be counted.
#[test]
fn what_labels_are_compared_with_is_what_the_code_says() {
    // Those of others: Prometheus, HTTP, the edge's own table of close codes, buckets.
    const OTHERS: [&str; 10] =
        ["namespace", "job", "pod", "instance", "alertname", "alertstate", "severity", "status", "code", "le"];
    let mut code = String::new();
    for folder in ["edge/src", "worker/src", "shared/auth/src", "shared/service/src"] {
        append_sources(&root().join(folder), &mut code);
    }
    let mut texts: Vec<String> = rule_files().iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    texts.extend(dashboards().values().flat_map(panels).flat_map(expressions));
    texts.push(read("docs/operations.md"));
    let selectors = texts.iter().flat_map(|text| promql::selectors(text));
    let compared: BTreeSet<_> = selectors.flat_map(|selector| selector.labels).collect();
    assert!(compared.len() > 10, "{compared:?}");
    let unknown = compared
        .iter()
        .filter(|(label, value)| !OTHERS.contains(&label.as_str()) && !code.contains(&format!("\"{value}\"")));
    let offences: Vec<_> = unknown.map(|(label, value)| format!("{label}=\"{value}\"")).collect();
    assert_none(&offences, "values that no code gives");
}

fn append_sources(folder: &Path, code: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            append_sources(&path, code);
        } else {
            code.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}
