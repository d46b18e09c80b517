//! What came of a stream, in figures, and whether it is what had to.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fmt,
    time::Duration,
};

use anyhow::{Context, ensure};
use signal_wire::snowflake::Snowflake;

use super::{
    plan::{Copy, Plan},
    rows::Row,
    run::Run,
};

/// All workers share it.
const WORKER_ID: u16 = 9;
/// Of each kind of trouble so much is shown.
const SHOWN: usize = 5;

#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    pub events: usize,
    pub records: usize,
    pub rows: usize,
    pub windows: usize,
    /// From the first record to the last row.
    pub took: Duration,
    /// How often a client was told to read the list again, and how often one came back.
    pub resyncs: usize,
    pub reconnects: usize,
    /// Pushes that the backplane carried, and those of them that it had carried before.
    pub pushes: u64,
    pub repeated: u64,
}

impl Outcome {
    pub(super) fn of(run: &Run<'_>, rows: &[Row], took: Duration) -> Self {
        let sum = |what: Vec<usize>| what.into_iter().sum();
        Self {
            events: run.plan.events,
            records: run.producer.produced(),
            rows: rows.len(),
            windows: run.people.len(),
            took,
            resyncs: sum(run.people.ask(|window| window.resyncs)),
            reconnects: sum(run.people.ask(|window| window.sessions.saturating_sub(1))),
            pushes: run.ear.pushes(),
            repeated: run.ear.pushes() - run.ear.distinct(),
        }
    }

    pub(super) fn check(&self, run: &Run<'_>, rows: &[Row]) -> anyhow::Result<()> {
        rows_are_as_expected(&run.plan, rows)?;
        let mut of_user: HashMap<&str, HashMap<String, String>> = HashMap::new();
        for Row { id, event_id, recipient_id } in rows {
            of_user.entry(recipient_id).or_default().insert(event_id.clone(), id.clone());
        }
        let nothing = HashMap::new();
        let troubles = run.people.ask(|window| {
            let known = window.known == *of_user.get(window.user.as_str()).unwrap_or(&nothing);
            let other = if known { "" } else { "a window knows other notifications than there are rows" };
            some(&format!("window of {}", window.user), window.complaints.iter().map(String::as_str).chain([other]))
        });
        no(troubles).with_context(|| self.to_string())
    }
}

/// # Errors
/// If a row is missing, too many, or doubled, or an id is not one.
pub(super) fn rows_are_as_expected(plan: &Plan, rows: &[Row]) -> anyhow::Result<()> {
    no([rows_as_expected(&plan.expected, rows), ids_are_ids(rows)].concat())
}

fn no(mut troubles: Vec<String>) -> anyhow::Result<()> {
    troubles.retain(|trouble| !trouble.is_empty());
    ensure!(troubles.is_empty(), "{}", troubles.join("\n"));
    Ok(())
}

/// No more and no fewer, and each once.
fn rows_as_expected(expected: &BTreeSet<Copy>, rows: &[Row]) -> Vec<String> {
    let copies: Vec<Copy> = rows.iter().map(|row| (row.event_id.clone(), row.recipient_id.clone())).collect();
    let there: BTreeSet<Copy> = copies.iter().cloned().collect();
    let name = |(event, user): &Copy| format!("{event} to {user}");
    let mut seen = HashSet::new();
    let doubled = copies.iter().filter(|copy| !seen.insert(*copy));
    vec![
        some("lost", expected.difference(&there).map(name)),
        some("nobody's", there.difference(expected).map(name)),
        some("doubled", doubled.map(name)),
    ]
}

fn ids_are_ids(rows: &[Row]) -> Vec<String> {
    let mut seen = HashSet::new();
    let twice = rows.iter().map(|row| row.id.as_str()).filter(|id| !seen.insert(*id));
    let foreign = rows.iter().map(|row| row.id.as_str());
    let foreign = foreign.filter(|id| Snowflake::parse(id).is_none_or(|id| id.worker_id() != WORKER_ID));
    vec![some("ids taken twice", twice), some("ids of no worker", foreign)]
}

/// Nothing if there are none.
fn some(what: &str, of: impl Iterator<Item = impl Into<String>>) -> String {
    let all: Vec<String> = of.map(Into::into).filter(|one| !one.is_empty()).collect();
    if all.is_empty() {
        return String::new();
    }
    format!("{what}: {} in all, such as {}", all.len(), all[..all.len().min(SHOWN)].join("; "))
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { events, records, rows, windows, resyncs, reconnects, pushes, repeated, .. } = self;
        let seconds = self.took.as_secs_f64();
        write!(
            f,
            "{events} events in {records} records, {rows} rows in {seconds:.1} s ({:.0} a second); {pushes} pushes, \
             {repeated} of them again; {windows} windows, {resyncs} resyncs, {reconnects} reconnects",
            *rows as f64 / seconds
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, event: &str, user: &str) -> Row {
        Row { id: id.to_owned(), event_id: event.to_owned(), recipient_id: user.to_owned() }
    }

    #[test]
    fn whatever_is_wrong_with_rows_is_said() {
        let copy = |event: &str, user: &str| (event.to_owned(), user.to_owned());
        let expected = BTreeSet::from([copy("e1", "an"), copy("e2", "an")]);
        let good = [row("IVUXjyIIOO", "e1", "an"), row("IVUXjyIIOP", "e2", "an")];
        assert!(rows_as_expected(&expected, &good).concat().is_empty());
        let rows = [row("a", "e1", "an"), row("b", "e1", "an"), row("c", "e3", "binh")];
        assert_eq!(
            rows_as_expected(&expected, &rows),
            [
                "lost: 1 in all, such as e2 to an",
                "nobody's: 1 in all, such as e3 to binh",
                "doubled: 1 in all, such as e1 to an"
            ]
        );
    }

    #[test]
    fn ids_are_of_the_workers_and_unique() {
        let mut snowflakes = signal_wire::snowflake::Snowflakes::new(9).expect("9 is a worker's id");
        let mut id = || snowflakes.next(1_800_000_000_000).to_string();
        let (first, second) = (id(), id());
        assert!(ids_are_ids(&[row(&first, "e1", "an"), row(&second, "e2", "an")]).concat().is_empty());
        let troubles = ids_are_ids(&[row(&first, "e1", "an"), row(&first, "e2", "an"), row("0x", "e3", "an")]);
        assert!(troubles.iter().all(|trouble| !trouble.is_empty()), "{troubles:?}");
    }
}
