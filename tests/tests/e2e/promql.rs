//! As much of PromQL as it takes to see what an expression asks for.

use std::collections::BTreeSet;

/// One selector: a metric, and the labels by which it is chosen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Selector {
    pub metric: String,
    /// Each with what it is compared to, alternatives apart.
    pub labels: BTreeSet<(String, String)>,
}

/// Everything that is named like a metric of Signal's.
pub fn metrics(text: &str) -> BTreeSet<String> {
    selectors(text).into_iter().map(|selector| selector.metric).collect()
}

/// The selectors of Signal's metrics in a text, wherever they stand in it.
pub fn selectors(text: &str) -> BTreeSet<Selector> {
    let mut found = BTreeSet::new();
    let mut rest = text;
    while let Some(start) = rest.find(is_name) {
        rest = &rest[start..];
        let name = &rest[..rest.find(|character| !is_name(character)).unwrap_or(rest.len())];
        rest = &rest[name.len()..];
        let colons = name.matches(':').count();
        let bare = name.trim_end_matches(':');
        // Binaries, crates and files are called `signal_edge` and the like.
        let ours = bare.starts_with("signal_") && bare.matches('_').count() > 1 && colons < 2;
        if ours || bare.starts_with("process_") || (colons == 2 && bare.contains(":signal_")) {
            found.insert(selector(bare, rest));
        }
    }
    found
}

fn is_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_' || character == ':'
}

fn selector(metric: &str, behind: &str) -> Selector {
    let mut selector = Selector { metric: metric.to_owned(), labels: BTreeSet::new() };
    let Some(mut rest) = behind.strip_prefix('{') else { return selector };
    while let Some((name, value)) = rest.split_once('"').filter(|(name, _)| !name.contains('}')) {
        let name = name.trim_matches(|character: char| !is_name(character) || character == ':');
        let Some((value, after)) = value.split_once('"') else { break };
        selector.labels.extend(value.split('|').map(|value| (name.to_owned(), value.to_owned())));
        rest = after;
    }
    selector
}

#[test]
fn selectors_are_found_with_their_labels() {
    let text = r#"sum by (job) (rate(signal_edge_x_total{code="4008",job=~"a|b"}[5m])) / job:signal_y:sum > 1
        and signal_edge; signal-edge `signal_edge_z_bytes`: process_open_fds"#;
    let found = selectors(text);
    let names: Vec<_> = found.iter().map(|selector| selector.metric.as_str()).collect();
    assert_eq!(names, ["job:signal_y:sum", "process_open_fds", "signal_edge_x_total", "signal_edge_z_bytes"]);
    let chosen = found.iter().find(|selector| selector.metric == "signal_edge_x_total").unwrap();
    let labels: Vec<_> = chosen.labels.iter().map(|(label, value)| format!("{label}={value}")).collect();
    assert_eq!(labels, ["code=4008", "job=a", "job=b"]);
}
