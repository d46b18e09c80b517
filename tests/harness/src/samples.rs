//! What a `/metrics` page says.

use std::fmt;

#[derive(Debug, Clone, PartialEq)]
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

/// The samples of one scrape, in Prometheus' text format.
#[derive(Clone, PartialEq)]
pub struct Samples(Vec<Sample>);

impl Samples {
    pub fn parse(text: &str) -> Samples {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        Samples(lines.map(|line| parse_line(line).unwrap_or_else(|| panic!("bad sample: {line}"))).collect())
    }

    /// The sum of all samples of `name` whose labels include `labels`; 0 where there is none,
    /// as a counter that nothing has touched yet is not exposed.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let includes = |sample: &&Sample| {
            labels.iter().all(|(key, value)| sample.labels.iter().any(|(k, v)| k == key && v == value))
        };
        let named = self.0.iter().filter(|sample| sample.name == name);
        named.filter(includes).map(|sample| sample.value).sum()
    }

    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|sample| sample.name == name)
    }
}

impl fmt::Debug for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for sample in &self.0 {
            writeln!(f, "{} {:?} {}", sample.name, sample.labels, sample.value)?;
        }
        Ok(())
    }
}

fn parse_line(line: &str) -> Option<Sample> {
    let (head, value) = line.rsplit_once(' ')?;
    let (name, labels) = match head.split_once('{') {
        Some((name, rest)) => (name, parse_labels(rest.strip_suffix('}')?)?),
        None => (head, Vec::new()),
    };
    Some(Sample { name: name.to_owned(), labels, value: value.parse().ok()? })
}

fn parse_labels(mut text: &str) -> Option<Vec<(String, String)>> {
    let mut labels = Vec::new();
    while !text.is_empty() {
        let (key, rest) = text.split_once("=\"")?;
        let mut value = String::new();
        let mut characters = rest.char_indices();
        let end = loop {
            match characters.next()? {
                (_, '\\') => value.push(characters.next()?.1),
                (index, '"') => break index,
                (_, character) => value.push(character),
            }
        };
        labels.push((key.to_owned(), value));
        text = rest[end + 1..].trim_start_matches(',');
    }
    Some(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_the_samples_that_carry_the_labels() {
        let samples = Samples::parse(concat!(
            "# TYPE dropped_total counter\n",
            "dropped_total{kind=\"a\",why=\"x, \\\"y\\\"\"} 2\n",
            "dropped_total{kind=\"b\"} 3\n\n",
            "up 1\n",
        ));
        assert_eq!(samples.sum("dropped_total", &[]), 5.0);
        assert_eq!(samples.sum("dropped_total", &[("why", "x, \"y\"")]), 2.0);
        assert_eq!(samples.sum("up", &[]), 1.0);
        assert_eq!(samples.sum("absent_total", &[]), 0.0);
        assert!(samples.contains("up") && !samples.contains("absent_total"));
    }
}
