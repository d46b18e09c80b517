//! The figures, for people and for programs.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the bench's output is what it is for")]

use std::thread::available_parallelism;

use serde::Serialize;

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) frame_bytes: usize,
    figures: Vec<Figure>,
}

/// One or more samples of one quantity, all of them better when lower unless `higher` says otherwise.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    /// For programs; it stays when the title changes.
    id: String,
    title: String,
    samples: Vec<f64>,
    target: Option<f64>,
    goal: Option<f64>,
    higher: bool,
}

impl Figure {
    pub(crate) fn new(id: &str, title: &str) -> Self {
        Self {
            id: id.to_owned(),
            title: title.to_owned(),
            samples: Vec::new(),
            target: None,
            goal: None,
            higher: false,
        }
    }

    pub(crate) fn one(self, sample: f64) -> Self {
        self.many(vec![sample])
    }

    pub(crate) fn many(mut self, samples: Vec<f64>) -> Self {
        self.samples = samples;
        self.samples.sort_by(f64::total_cmp);
        self
    }

    /// What must and what should be reached.
    pub(crate) fn bounds(mut self, target: f64, goal: f64) -> Self {
        self.target = Some(target);
        self.goal(goal)
    }

    /// As [`Figure::bounds`], of what is better when higher.
    pub(crate) fn at_least(mut self, target: f64, goal: f64) -> Self {
        self.higher = true;
        self.bounds(target, goal)
    }

    pub(crate) fn goal(mut self, goal: f64) -> Self {
        self.goal = Some(goal);
        self
    }

    fn median(&self) -> f64 {
        self.samples.get(self.samples.len() / 2).copied().unwrap_or(f64::NAN)
    }

    fn measured(&self) -> String {
        match self.samples[..] {
            [low, .., high] => format!("{:.2} ({low:.2} to {high:.2})", self.median()),
            _ => format!("{:.2}", self.median()),
        }
    }

    fn verdict(&self) -> &'static str {
        let reaches = |bound: f64| if self.higher { self.median() >= bound } else { self.median() <= bound };
        let within = |bound: Option<f64>| bound.map(reaches);
        match (within(self.goal), within(self.target)) {
            (Some(true), _) => "goal reached",
            (_, Some(true)) => "target reached",
            (_, Some(false)) => "MISSED",
            (Some(false), None) => "goal missed",
            (None, None) => "",
        }
    }
}

impl Report {
    pub(crate) fn add(&mut self, figure: Figure) {
        self.figures.push(figure);
    }

    pub(crate) fn print(&self, json: bool) {
        if json {
            say(&serde_json::to_string_pretty(self).expect("numbers and strings are always JSON"));
        } else {
            say(&self.table());
        }
    }

    fn table(&self) -> String {
        let cores = available_parallelism().map_or(1, usize::from);
        // Only a broadcast says how large its frames are.
        let frames =
            if self.frame_bytes == 0 { String::new() } else { format!(", v1 frames of {} bytes", self.frame_bytes) };
        let mut lines = vec![
            format!("{cores} cores, everything on loopback{frames}; median (lowest to highest)"),
            row("", "measured", "target", "goal", ""),
        ];
        for figure in &self.figures {
            let sign = if figure.higher { ">=" } else { "<=" };
            let bound = |bound: Option<f64>| bound.map(|bound| format!("{sign} {bound}")).unwrap_or_default();
            let (target, goal) = (bound(figure.target), bound(figure.goal));
            lines.push(row(&figure.title, &figure.measured(), &target, &goal, figure.verdict()));
        }
        lines.join("\n")
    }
}

fn row(name: &str, measured: &str, target: &str, goal: &str, verdict: &str) -> String {
    format!("{name:<42} {measured:>24}  {target:>7}  {goal:>7}  {verdict}").trim_end().to_owned()
}

pub(crate) fn say(text: &str) {
    println!("{text}");
}

/// Where the bench is, for whoever waits.
pub(crate) fn progress(what: &str) {
    eprintln!("bench: {what}");
}

pub(crate) fn complain(text: &str) {
    eprintln!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_by_the_median() {
        let figure = |samples: &[f64]| Figure::new("x", "x").many(samples.to_vec()).bounds(1.6, 1.2);
        assert_eq!(figure(&[9.0, 1.0, 1.2]).verdict(), "goal reached");
        assert_eq!(figure(&[1.3]).verdict(), "target reached");
        assert_eq!(figure(&[1.7]).verdict(), "MISSED");
        assert_eq!(Figure::new("x", "x").one(1.0).goal(0.8).verdict(), "goal missed");
        assert_eq!(Figure::new("x", "x").one(1.0).verdict(), "");
        let rate = |sample: f64| Figure::new("x", "x").one(sample).at_least(0.4, 0.7).verdict();
        assert_eq!([0.7, 0.5, 0.3].map(rate), ["goal reached", "target reached", "MISSED"]);
        assert_eq!(figure(&[2.0, 1.0, 3.0]).measured(), "2.00 (1.00 to 3.00)");
    }
}
