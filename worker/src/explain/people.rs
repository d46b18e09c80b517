//! Whom an event is for, as of now, beside whom it has rows for.

use std::collections::HashSet;

use signal_wire::activity::ActivityEvent;

use super::Sources;
use crate::{
    resolve::{self, Audience, Limits, Recipients},
    store::{Store, StoreError},
};

/// Rows read at once.
const PAGE: usize = 5_000;

/// The people of an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct People {
    /// Who would get it now.
    pub addressed: u64,
    /// Of them, who has no row; named as far as was asked for.
    pub without: Vec<String>,
    pub without_count: u64,
    /// Whom the event leaves out by name.
    pub left_out: Vec<String>,
    /// Rows of people whom it would not reach any more: they have left the merchant or organizer since.
    pub no_longer: u64,
}

impl People {
    pub(super) async fn of(
        mut event: ActivityEvent,
        event_id: &str,
        sources: &Sources,
        limit: usize,
    ) -> Result<Self, StoreError> {
        let mut have = HashSet::new();
        let mut after = String::new();
        loop {
            let page = sources.database.rows_of(event_id, &after, PAGE).await?;
            let full = page.len() == PAGE;
            have.extend(page.into_iter().map(|row| {
                after.clone_from(&row.recipient_id);
                row.recipient_id
            }));
            if !full {
                break;
            }
        }
        let mut people = Self { left_out: event.exclude_user_ids.clone(), ..Self::default() };
        people.left_out.truncate(limit);
        let audiences = [Audience::of(&mut event, &sources.domains)];
        let store: &dyn Store = &*sources.database;
        let directory = resolve::resolve(store, &audiences, Limits::DEFAULT).await?;
        let mut recipients = Recipients::new(&audiences[0], &directory);
        let mut reached = 0;
        while let Some(page) = recipients.next(store).await? {
            for recipient in page {
                people.addressed += 1;
                if have.contains(&recipient) {
                    reached += 1;
                } else {
                    people.without_count += 1;
                    if people.without.len() < limit {
                        people.without.push(recipient);
                    }
                }
            }
        }
        people.no_longer = have.len() as u64 - reached;
        Ok(people)
    }
}
