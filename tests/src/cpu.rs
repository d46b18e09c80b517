//! CPU time of a process, as the kernel accounts it: ticks of user and system time in `/proc/PID/stat` (proc(5)).

use std::{fs, iter::Sum, ops::Sub};

use anyhow::Context;

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cpu {
    user_us: f64,
    system_us: f64,
}

impl Cpu {
    /// Of a process since it began.
    ///
    /// # Errors
    /// If there is none.
    pub fn of(pid: u32) -> anyhow::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid} is gone"))?;
        Self::parse(&stat, ticks_per_second()).with_context(|| format!("/proc/{pid}/stat is not what it was: {stat}"))
    }

    /// What a process's threads have been on a processor for since they began, in microseconds: finer than ticks, for
    /// what does little. Threads that have ended are not in it.
    ///
    /// # Errors
    /// If there is no such process, or the kernel keeps no such count.
    pub fn precise_us(pid: u32) -> anyhow::Result<f64> {
        let mut nanoseconds = 0.0;
        for task in fs::read_dir(format!("/proc/{pid}/task")).with_context(|| format!("process {pid} is gone"))? {
            let path = task?.path().join("schedstat");
            let schedstat = fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
            let first = schedstat.split_ascii_whitespace().next().and_then(|first| first.parse::<f64>().ok());
            nanoseconds += first.with_context(|| format!("{} is not what it was: {schedstat}", path.display()))?;
        }
        Ok(nanoseconds / 1000.0)
    }

    /// Fields 14 and 15; the second field is a name in parentheses that may hold anything.
    fn parse(stat: &str, ticks_per_second: f64) -> Option<Self> {
        let (_, fields) = stat.rsplit_once(") ")?;
        let mut ticks = fields.split_ascii_whitespace().skip(11).map(str::parse::<f64>);
        let mut next = || Some(ticks.next()?.ok()? * 1e6 / ticks_per_second);
        Some(Self { user_us: next()?, system_us: next()? })
    }

    pub fn total_us(self) -> f64 {
        self.user_us + self.system_us
    }

    pub fn user_us(self) -> f64 {
        self.user_us
    }
}

impl Sub for Cpu {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self { user_us: self.user_us - earlier.user_us, system_us: self.system_us - earlier.system_us }
    }
}

impl Sum for Cpu {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            user_us: sum.user_us + one.user_us,
            system_us: sum.system_us + one.system_us,
        })
    }
}

#[allow(unsafe_code, reason = "the standard library has no sysconf")]
fn ticks_per_second() -> f64 {
    // SAFETY: sysconf takes a number and gives one.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    ticks.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_fields_behind_any_name() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 2 3 4 250 150 5 6 20 0 1 0 9 8 7";
        assert_eq!(Cpu::parse(stat, 100.0), Some(Cpu { user_us: 2.5e6, system_us: 1.5e6 }));
        assert_eq!(Cpu::parse("7 (a) S 1", 100.0), None);
    }
}
