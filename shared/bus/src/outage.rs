//! When an outage is worth a word: as it begins, and again when what keeps it going is something else. Who has changed a
//! password while a server was restarted is to read of the password.

use std::time::Duration;

use signal_wire::backoff::Backoff;
use tokio::time::Instant;

/// Between two words about one outage. Servers of a cluster that are tried in turn each have a reason of their own.
const APART: Duration = Duration::from_secs(5);

/// Between two tries at a server that is there and does not let us in. It takes a person to change that, and each try is
/// a line in its log.
pub(crate) const REFUSED: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(5));

#[derive(Debug, Default)]
pub(crate) struct Outage(Option<(String, Instant)>);

impl Outage {
    /// Whether `reason`, why there is still nothing, is to be told now.
    pub(crate) fn is_news(&mut self, reason: &str, now: Instant) -> bool {
        let is_news = match &self.0 {
            None => true,
            Some((told, at)) => told != reason && now.saturating_duration_since(*at) >= APART,
        };
        if is_news {
            self.0 = Some((reason.to_owned(), now));
        }
        is_news
    }

    pub(crate) fn is_over(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_reason_is_told_after_a_while_and_the_same_one_never() {
        let (mut outage, start) = (Outage::default(), Instant::now());
        assert!(outage.is_news("closed", start));
        assert!(!outage.is_news("refused", start + Duration::from_secs(4)));
        assert!(!outage.is_news("closed", start + Duration::from_secs(60)));
        assert!(outage.is_news("password", start + Duration::from_secs(61)));
        assert!(!outage.is_news("closed", start + Duration::from_secs(62)));
        outage.is_over();
        assert!(outage.is_news("password", start + Duration::from_secs(63)));
    }
}
