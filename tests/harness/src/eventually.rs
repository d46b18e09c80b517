//! Waiting for a condition, with a deadline.

use std::{fmt::Display, future::Future, panic::Location, time::Duration};

use tokio::time::{Instant, sleep, timeout_at};

/// Short enough that a wait costs what the thing waited for costs, long enough that a
/// hundred waiting tests leave the processor to the servers they wait for.
const INTERVAL: Duration = Duration::from_millis(15);

/// What one look at the world said: the awaited thing, or what was there instead.
pub trait Observation {
    type Seen;
    fn verdict(self) -> Result<Self::Seen, String>;
}

impl Observation for bool {
    type Seen = ();
    fn verdict(self) -> Result<(), String> {
        if self { Ok(()) } else { Err("the condition does not hold".to_owned()) }
    }
}

impl<T> Observation for Option<T> {
    type Seen = T;
    fn verdict(self) -> Result<T, String> {
        self.ok_or_else(|| "nothing there".to_owned())
    }
}

impl<T, E: Display> Observation for Result<T, E> {
    type Seen = T;
    fn verdict(self) -> Result<T, String> {
        self.map_err(|error| error.to_string())
    }
}

/// Looks until `probe` sees what it waits for, and panics with the last state when `within`
/// has passed first. A look that hangs is cut off by the same deadline.
///
/// The only sleep of the test suite is in here: a child process announces nothing that a
/// test could await, so its state has to be polled.
#[track_caller]
pub fn eventually<F, Fut, O>(within: Duration, mut probe: F) -> impl Future<Output = O::Seen> + use<F, Fut, O>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = O>,
    O: Observation,
{
    let caller = Location::caller();
    async move {
        match until(Instant::now() + within, &mut probe).await {
            Ok(seen) => seen,
            Err(last) => panic!("{caller}: not within {within:?}; last state: {last}"),
        }
    }
}

pub(crate) async fn until<F, Fut, O>(deadline: Instant, probe: &mut F) -> Result<O::Seen, String>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = O>,
    O: Observation,
{
    let mut last = "never looked".to_owned();
    loop {
        match timeout_at(deadline, probe()).await.map(Observation::verdict) {
            Ok(Ok(seen)) => return Ok(seen),
            Ok(Err(state)) => last = state,
            Err(_elapsed) => return Err(format!("{last}; then a look that hung")),
        }
        if Instant::now() + INTERVAL > deadline {
            return Err(last);
        }
        sleep(INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn returns_what_was_seen_as_soon_as_it_is_there() {
        let mut looks = 0;
        let seen = eventually(Duration::from_secs(5), || {
            looks += 1;
            let look = looks;
            async move { if look == 3 { Ok(look) } else { Err(format!("look {look}")) } }
        })
        .await;
        assert_eq!(seen, 3);
    }

    #[tokio::test]
    #[should_panic(expected = "last state: still waiting")]
    async fn says_the_last_state_when_time_is_up() {
        eventually(Duration::from_millis(40), || async { Err::<(), _>("still waiting") }).await;
    }

    #[tokio::test]
    #[should_panic(expected = "a look that hung")]
    async fn cuts_off_a_look_that_hangs() {
        eventually(Duration::from_millis(40), std::future::pending::<bool>).await;
    }
}
