//! Which events are meant, and whose rows of them: all, unless somebody asks for less.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use signal_wire::activity::ActivityEvent;

/// Filters. One that is empty lets everything through; of several, each must; of a filter's values, one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Selection {
    pub merchants: BTreeSet<String>,
    pub organizers: BTreeSet<String>,
    pub types: BTreeSet<String>,
    /// Whose rows are meant. An event is if it is for one of them.
    pub users: BTreeSet<String>,
}

impl Selection {
    /// Whether the event is meant, as far as it tells without its recipients.
    pub fn admits(&self, event: &ActivityEvent) -> bool {
        let named = |filter: &BTreeSet<String>, id: Option<&String>| {
            filter.is_empty() || id.is_some_and(|id| filter.contains(id))
        };
        named(&self.merchants, event.merchant_id.as_ref())
            && named(&self.organizers, event.organizer_id.as_ref())
            && named(&self.types, Some(&event.kind))
    }

    pub fn includes(&self, user: &str) -> bool {
        self.users.is_empty() || self.users.contains(user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(values: &[&str]) -> BTreeSet<String> {
        values.iter().map(|value| (*value).to_owned()).collect()
    }

    fn event(json: &str) -> ActivityEvent {
        ActivityEvent::parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn every_filter_must_hold_and_of_its_values_one() {
        let both = event(r#"{"type":"A","organizerId":"o1","merchantId":"m1"}"#);
        let organizer = event(r#"{"type":"B","organizerId":"o1"}"#);
        let named = event(r#"{"type":"A","userIds":["m1"]}"#);
        let all = [&both, &organizer, &named];
        let admitted = |selection: &Selection| all.iter().map(|event| selection.admits(event)).collect::<Vec<bool>>();

        assert_eq!(admitted(&Selection::default()), [true, true, true]);
        let merchants = Selection { merchants: set(&["m0", "m1"]), ..Selection::default() };
        assert_eq!(admitted(&merchants), [true, false, false]);
        let organizers = Selection { organizers: set(&["o1"]), ..Selection::default() };
        assert_eq!(admitted(&organizers), [true, true, false]);
        let types = Selection { types: set(&["A"]), ..Selection::default() };
        assert_eq!(admitted(&types), [true, false, true]);
        assert_eq!(admitted(&Selection { types: set(&["B"]), ..merchants }), [false, false, false]);
    }

    #[test]
    fn users_are_people_and_no_events() {
        let selection = Selection { users: set(&["ann"]), ..Selection::default() };
        assert!(selection.admits(&event(r#"{"type":"A","userIds":["bob"]}"#)));
        assert!(selection.includes("ann") && !selection.includes("bob"));
        assert!(Selection::default().includes("bob"));
    }
}
