//! `compose.yaml`, read as Compose reads it, as far as Signal's says anything.

use std::{collections::BTreeMap, fs, path::Path};

use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Deserialize)]
pub struct Compose {
    pub services: BTreeMap<String, Declared>,
}

/// A service as it is declared.
#[derive(Debug, Clone, Deserialize)]
pub struct Declared {
    pub build: Option<Build>,
    #[serde(default)]
    pub entrypoint: Vec<String>,
    #[serde(default)]
    pub command: Vec<String>,
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    #[serde(default)]
    pub depends_on: BTreeMap<String, Dependency>,
    pub healthcheck: Option<Healthcheck>,
    #[serde(default)]
    pub profiles: Vec<String>,
    #[serde(default)]
    networks: Value,
    restart: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Build {
    pub target: String,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Dependency {
    pub condition: Condition,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Condition {
    #[serde(rename = "service_started")]
    Started,
    #[serde(rename = "service_healthy")]
    Healthy,
    #[serde(rename = "service_completed_successfully")]
    CompletedSuccessfully,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Healthcheck {
    pub test: Vec<String>,
}

impl Compose {
    /// The file, with nothing in the environment that it could take up.
    pub fn read() -> Compose {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compose.yaml");
        let mut file: Value = serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        interpolate(&mut file);
        serde_json::from_value(file).unwrap()
    }

    /// The services that `docker compose up` starts, each behind those that it depends on.
    pub fn order(&self) -> Vec<&str> {
        let mut order = Vec::new();
        for (name, service) in &self.services {
            if service.profiles.is_empty() {
                self.visit(name, &mut Vec::new(), &mut order);
            }
        }
        order
    }

    fn visit<'a>(&'a self, name: &'a str, path: &mut Vec<&'a str>, order: &mut Vec<&'a str>) {
        assert!(!path.contains(&name), "{path:?} wait for each other");
        if order.contains(&name) {
            return;
        }
        path.push(name);
        for dependency in self.services[name].depends_on.keys() {
            self.visit(dependency, path, order);
        }
        path.pop();
        order.push(name);
    }
}

impl Declared {
    /// Whether it runs to its end instead of serving.
    pub fn is_run_once(&self) -> bool {
        self.restart == "no"
    }

    /// The address that it has in the network, where it is given one.
    pub fn address(&self) -> Option<&str> {
        self.networks["signal"]["ipv4_address"].as_str()
    }
}

/// In values, and once the file has been read, as Compose does it.
fn interpolate(value: &mut Value) {
    match value {
        Value::String(text) => *text = interpolated(text),
        Value::Array(items) => items.iter_mut().for_each(interpolate),
        Value::Object(fields) => fields.values_mut().for_each(interpolate),
        _ => {}
    }
}

/// `${NAME:-default}` is its default, and `$$` a dollar sign.
fn interpolated(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        out += &rest[..dollar];
        rest = &rest[dollar + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else {
            let end = rest.find('}').expect("a variable ends");
            let (_, default) = rest[..end].split_once(":-").expect("a variable has a default");
            out += default;
            rest = &rest[end + 1..];
        }
    }
    out + rest
}

#[test]
fn variables_are_replaced_as_compose_does() {
    assert_eq!(interpolated("a: ${A:-b}-${C:-}x, $$1 $${d%:*}"), "a: b-x, $1 ${d%:*}");
}
