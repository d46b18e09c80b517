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
                let merged = merge(pages.collect::<Vec<_>>(), limit);
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
