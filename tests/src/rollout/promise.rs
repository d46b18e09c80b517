//! What a rolling deploy promises, and whether it was kept.

use std::time::{Duration, Instant};

use anyhow::ensure;

use super::{Scale, deployment::Deployment, pod::Ending};
use crate::{
    balancer::Balancer,
    figures::most_within,
    healing::{Ended, Population},
};

/// In any second no more clients may come than this many times the even rate of a drain, and a few whose turn a busy
/// machine has put off.
const PEAK: f64 = 1.5;
const PUT_OFF: f64 = 30.0;
const SECOND: Duration = Duration::from_secs(1);

/// Every pod that is needed was ready at every moment, and there was never more than one beyond.
///
/// # Errors
/// If not.
pub fn was_never_short(what: &str, deployment: &Deployment<'_>, replicas: usize) -> anyhow::Result<()> {
    let (least, most) = (deployment.least_ready(), deployment.most_pods());
    ensure!(least >= replicas, "of {replicas} {what} there were {least} ready at some moment");
    ensure!(most == replicas + 1, "there were {most} {what} at some moment");
    Ok(())
}

/// Whoever was told to stop did so in order and in time, and told each of its clients when to leave.
///
/// # Errors
/// If one did not.
pub fn ended_in_order(endings: &[Ending], deadline: Duration) -> anyhow::Result<()> {
    for Ending { clients, announced, killed, status, took, output, .. } in endings {
        ensure!(!killed, "a pod had to be killed after {took:?}\n{output}");
        ensure!(status.success(), "{status}\n{output}");
        ensure!(!output.contains("deadline reached"), "a pod stopped at its deadline\n{output}");
        // A look late, and on a machine that does everything at once.
        ensure!(*took < deadline + 5 * SECOND, "a pod took {took:?} of {deadline:?}\n{output}");
        ensure!(announced >= clients, "of {clients} clients {announced} were told when to leave\n{output}");
    }
    Ok(())
}

/// Clients that had been told when to leave, and had not left yet, were pushed to. One edge alone may have been looked at
/// too late to be seen at it.
///
/// # Errors
/// If no edge was.
pub fn pushes_went_on(endings: &[Ending]) -> anyhow::Result<()> {
    let pushed: u64 = endings.iter().map(|ending| ending.pushed).sum();
    ensure!(pushed > 0, "none of {} edges pushed anything to clients that were about to leave", endings.len());
    Ok(())
}

/// What sister services pushed has come, in order: within a session all of it, from what the list had at its beginning;
/// and what was said while a client was away is in the list that it then read.
///
/// # Errors
/// If anybody misses something, or lost a connection that nobody had asked it to leave.
pub fn nothing_is_missing(population: &Population, pushes: u64) -> anyhow::Result<()> {
    let complaints = population.complaints();
    ensure!(complaints.is_empty(), "{} complaints, such as {}", complaints.len(), complaints[0]);
    let of = |holds: &dyn Fn(&crate::healing::Person) -> bool| population.len() - population.count(holds);
    let ignorant = of(&|person| person.knows_all(pushes));
    ensure!(ignorant == 0, "{ignorant} clients do not know all of {pushes} pushes");
    let gaps = of(&|person| person.gaps == 0);
    ensure!(gaps == 0, "{gaps} clients were not pushed something within a session");
    // Whoever is late is closed a second after the moment that it was told.
    let asked = |ended: &Ended| matches!(ended, Ended::Draining | Ended::Closed(1001));
    let lost: Vec<Ended> = population.ask(|person| person.ended.clone()).concat();
    let lost: Vec<&Ended> = lost.iter().filter(|ended| !asked(ended)).collect();
    ensure!(lost.is_empty(), "{} sessions ended although nobody had asked for it: {lost:?}", lost.len());
    Ok(())
}

/// How fast clients came back.
#[derive(Clone, Copy, Debug)]
pub struct Returns {
    pub connections: usize,
    pub refused: usize,
    /// In the busiest second, wherever it begins.
    pub most: usize,
    /// In a second of the drain with the most clients.
    pub even: f64,
}

impl Returns {
    pub fn since(began: Instant, balancer: &Balancer, endings: &[Ending], scale: &Scale) -> Self {
        let mut opened: Vec<Instant> = balancer.opened_anywhere().into_iter().filter(|at| *at >= began).collect();
        let fullest = endings.iter().map(|ending| ending.clients).max().unwrap_or_default();
        Self {
            connections: opened.len(),
            refused: balancer.refused(),
            most: most_within(&mut opened, SECOND),
            even: fullest as f64 / scale.drain_window.as_secs_f64(),
        }
    }

    /// # Errors
    /// If they came faster than they were spread.
    pub fn check(&self) -> anyhow::Result<()> {
        let bound = PEAK * self.even + PUT_OFF;
        ensure!((self.most as f64) <= bound, "more than {bound:.0} connections in a second: {self:?}");
        Ok(())
    }
}
