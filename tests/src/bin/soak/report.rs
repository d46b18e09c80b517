//! `docs/reliability.md`: what was done, what had to hold, and what was found.

use std::{fmt, time::Duration};

use signal_tests::faults::Findings;

use crate::scenario::{Row, Scenario};

const BEGINNING: &str = include_str!("beginning.txt");

#[derive(Debug)]
pub(crate) enum Outcome {
    Held(Findings),
    Broken(String),
    /// What this machine lacks.
    Skipped(String),
}

#[derive(Debug)]
pub(crate) struct Report {
    seed: u64,
    quick: bool,
    played: Vec<(Scenario, Outcome, Duration)>,
}

impl Report {
    pub(crate) fn new(seed: u64, quick: bool) -> Self {
        Self { seed, quick, played: Vec::new() }
    }

    pub(crate) fn add(&mut self, scenario: Scenario, outcome: Outcome, took: Duration) {
        self.played.push((scenario, outcome, took));
    }

    /// Whatever was played. What was not says nothing.
    pub(crate) fn holds(&self) -> bool {
        !self.played.iter().any(|(_, outcome, _)| matches!(outcome, Outcome::Broken(_)))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held(findings) => write!(f, "held: {}", findings.join("; ")),
            Self::Broken(why) => write!(f, "DOES NOT HOLD: {why}"),
            Self::Skipped(lacking) => write!(f, "skipped: {lacking}"),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(BEGINNING)?;
        writeln!(f, "\n| scenario | fault | what must hold | held |\n|---|---|---|---|")?;
        for (scenario, outcome, _) in &self.played {
            let Row { fault, holds } = scenario.row();
            let held = match outcome {
                Outcome::Held(_) => "yes",
                Outcome::Broken(_) => "**no**",
                Outcome::Skipped(_) => "not played",
            };
            writeln!(f, "| [{0}](#{0}) | {fault} | {holds} | {held} |", scenario.name())?;
        }
        writeln!(f, "\n## Figures\n")?;
        let size = if self.quick { " --quick" } else { "" };
        let all: Duration = self.played.iter().map(|(_, _, took)| *took).sum();
        let run = if self.quick { "one small run (`--quick`)" } else { "one run" };
        let (seed, all) = (self.seed, minutes(all));
        writeln!(f, "Of {run} with the seed {seed}, {all:.0} minutes in all. Times are this machine's.")?;
        for (scenario, outcome, took) in &self.played {
            let name = scenario.name();
            writeln!(f, "\n### {name}\n")?;
            match outcome {
                Outcome::Held(findings) => findings.iter().try_for_each(|finding| writeln!(f, "- {finding}"))?,
                Outcome::Broken(why) => writeln!(f, "- **does not hold**: {}", why.lines().next().unwrap_or_default())?,
                Outcome::Skipped(lacking) => writeln!(f, "- not played: {lacking}")?,
            }
            writeln!(f, "- {:.0} s: `soak --only {name}{size} --seed {}`", took.as_secs_f64(), self.seed)?;
        }
        Ok(())
    }
}

fn minutes(time: Duration) -> f64 {
    (time.as_secs_f64() / 60.0).ceil()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// That is committed.
    fn page() -> String {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("in the workspace").join("docs/reliability.md");
        std::fs::read_to_string(&path).expect("the page is there")
    }

    fn names(of: &str, begins: &str, ends: char) -> Vec<String> {
        let rows = of.lines().filter_map(|line| line.strip_prefix(begins));
        rows.filter_map(|rest| rest.split(ends).next()).map(str::to_owned).collect()
    }

    #[test]
    fn every_scenario_has_its_row_in_the_page_and_every_row_its_scenario() {
        let page = page();
        let all: Vec<String> = Scenario::ALL.iter().map(|scenario| scenario.name()).collect();
        assert_eq!(names(&page, "| [", ']'), all);
        assert_eq!(names(&page, "### ", '\n'), all);
        assert!(page.starts_with(BEGINNING), "its beginning is another");
        for scenario in Scenario::ALL {
            let Row { fault, holds } = scenario.row();
            assert!(page.contains(&format!("| {fault} | {holds} |")), "{}", scenario.name());
        }
    }

    #[test]
    fn what_does_not_hold_is_not_hidden() {
        let mut report = Report::new(7, false);
        report.add(Scenario::Drain, Outcome::Held(vec!["5,000 told".to_owned()]), Duration::from_secs(30));
        report.add(Scenario::Silence, Outcome::Skipped("no right".to_owned()), Duration::ZERO);
        assert!(report.holds());
        report.add(Scenario::Flood, Outcome::Broken("grown\nby much".to_owned()), Duration::from_secs(1));
        assert!(!report.holds());
        let page = report.to_string();
        for part in ["- 5,000 told", "- not played: no right", "- **does not hold**: grown\n", "| **no** |", "--seed 7"]
        {
            assert!(page.contains(part), "{part} in {page}");
        }
    }
}
