//! One page out of the pages of all edges.

use signal_wire::control::{Client, Page};
use uuid::Uuid;

/// The next clients of the cluster, each with its edge.
#[derive(Debug, PartialEq)]
pub(super) struct Merged {
    pub(super) clients: Vec<(Uuid, Client)>,
    /// The id behind which the next page begins, if there may be one.
    pub(super) next: Option<Uuid>,
}

/// Merges by id. A page that ends before its edge's clients do says nothing about the ids behind its end, so that the
/// earliest such end is where the merged page ends.
pub(super) fn merge(pages: impl IntoIterator<Item = (Uuid, Page)>, limit: usize) -> Merged {
    let mut clients = Vec::new();
    let mut horizon: Option<Uuid> = None;
    for (edge, page) in pages {
        if let Some(until) = page.until.as_deref().and_then(|id| Uuid::try_parse(id).ok()) {
            horizon = Some(horizon.map_or(until, |earliest| earliest.min(until)));
        }
        // What has no UUID is no client.
        let known = page.clients.into_iter().filter_map(|client| Some((Uuid::try_parse(&client.id).ok()?, client)));
        clients.extend(known.map(|(id, client)| (id, edge, client)));
    }
    clients.sort_unstable_by_key(|(id, ..)| *id);
    let mut next = horizon;
    if let Some(horizon) = horizon {
        clients.retain(|(id, ..)| *id <= horizon);
    }
    if clients.len() > limit {
        clients.truncate(limit);
        next = clients.last().map(|(id, ..)| *id);
    }
    Merged { clients: clients.into_iter().map(|(_, edge, client)| (edge, client)).collect(), next }
}

/// Whether a page is one: ids in order, all behind the cursor, and it goes at least as far as what it shows.
pub(super) fn is_sound(page: &Page, after: Option<Uuid>) -> bool {
    let mut last = after;
    let mut behind = |id: &str| {
        let id = Uuid::try_parse(id).ok().filter(|id| last.is_none_or(|last| *id > last));
        last = id.or(last);
        id.is_some()
    };
    let ordered = page.clients.iter().all(|client| behind(&client.id));
    let shown = page.clients.last().map(|client| client.id.as_str());
    ordered && page.until.as_deref().is_none_or(|until| Some(until) == shown || behind(until))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn client(id: u128) -> Client {
        Client {
            id: Uuid::from_u128(id).to_string(),
            user_id: json!("an"),
            rooms: vec![],
            protocol: 1,
            connected_at: 0,
            last_activity: 0,
        }
    }

    /// An edge's page: `limit` as asked for, `fit` how many it had room for.
    fn page(ids: &[u128], after: Option<Uuid>, limit: usize, fit: usize) -> Page {
        let behind = |id: &&u128| after.is_none_or(|after| Uuid::from_u128(**id) > after);
        let all: Vec<u128> = ids.iter().filter(behind).copied().collect();
        let shown: Vec<u128> = all.iter().copied().take(limit.min(fit)).collect();
        let until = if shown.len() < all.len() { shown.last() } else { None };
        Page {
            clients: shown.iter().map(|id| client(*id)).collect(),
            until: until.map(|id| Uuid::from_u128(*id).to_string()),
        }
    }

    fn ids(merged: &Merged) -> Vec<u128> {
        merged.clients.iter().map(|(_, client)| client.id.parse::<Uuid>().unwrap().as_u128()).collect()
    }

    #[test]
    fn a_truncated_page_hides_what_may_lie_behind_it() {
        let truncated = Page { until: Some(Uuid::from_u128(2).to_string()), ..page(&[1, 2], None, 9, 9) };
        let pages = [(Uuid::from_u128(100), truncated), (Uuid::from_u128(200), page(&[3, 4], None, 9, 9))];
        let merged = merge(pages, 9);
        assert_eq!(ids(&merged), [1, 2]);
        assert_eq!(merged.next, Some(Uuid::from_u128(2)));
    }

    #[test]
    fn the_last_page_has_no_next() {
        let merged = merge([(Uuid::nil(), page(&[1, 2], None, 2, 9))], 2);
        assert_eq!((ids(&merged), merged.next), (vec![1, 2], None));
        assert_eq!(merge([(Uuid::nil(), Page::default())], 2), Merged { clients: vec![], next: None });
    }

    #[test]
    fn what_is_no_page_behind_the_cursor_is_none() {
        let (page, after) = (
            |ids: &[u128], until: Option<u128>| {
                let until = until.map(|id| Uuid::from_u128(id).to_string());
                Page { clients: ids.iter().map(|id| client(*id)).collect(), until }
            },
            Some(Uuid::from_u128(5)),
        );
        for (ids, until, sound) in [
            (&[][..], None, true),
            (&[6, 7], None, true),
            (&[6, 7], Some(7), true),
            (&[6, 7], Some(9), true),
            (&[], Some(9), true),
            (&[], Some(0), false),
            (&[], Some(5), false),
            (&[5], None, false),
            (&[4, 6], None, false),
            (&[7, 6], None, false),
            (&[6, 6], None, false),
            (&[6, 7], Some(6), false),
        ] {
            assert_eq!(is_sound(&page(ids, until), after), sound, "{ids:?} {until:?}");
        }
        let mut nonsense = page(&[6], None);
        nonsense.clients[0].id = "nonsense".to_owned();
        assert!(!is_sound(&nonsense, after));
        assert!(!is_sound(&Page { until: Some("nonsense".to_owned()), ..page(&[6], None) }, after));
        assert!(is_sound(&page(&[0, 1], None), None));
    }

    proptest! {
        #[test]
        fn paging_shows_everybody_once_and_in_order(
            edges in proptest::collection::vec(proptest::collection::btree_set(any::<u64>(), 0..30), 1..5),
            limit in 1usize..12,
            fit in 1usize..12,
        ) {
            let mut owned = std::collections::BTreeMap::new();
            for (edge, ids) in edges.iter().enumerate() {
                owned.extend(ids.iter().map(|id| (u128::from(*id), edge)));
            }
            let mut seen = Vec::new();
            let mut after = None;
            loop {
                let pages = (0..edges.len()).map(|edge| {
                    let ids: Vec<u128> = owned.iter().filter(|(_, e)| **e == edge).map(|(id, _)| *id).collect();
                    (Uuid::from_u128(edge as u128), page(&ids, after, limit, fit))
                });
                let pages: Vec<_> = pages.collect();
                prop_assert!(pages.iter().all(|(_, page)| is_sound(page, after)));
                let merged = merge(pages, limit);
                prop_assert!(merged.clients.len() <= limit);
                seen.extend(ids(&merged));
                let Some(next) = merged.next else { break };
                prop_assert!(after.is_none_or(|after| next > after), "it goes on");
                after = Some(next);
            }
            prop_assert_eq!(seen, owned.into_keys().collect::<Vec<_>>());
        }
    }
}
