//! Whom an event is for: the people of its merchant or organizer and those it names, without those it leaves out.
//!
//! The merchant is the narrower scope. When an event has one, its people are meant and `organizerId` only says whose
//! merchant it is; the people of the organizer are meant when it stands alone.
//!
//! One query answers for all scopes of a batch. Scopes too large to be held are not: they are read page by page
//! whenever an event needs them, so that memory does not grow with an audience.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use signal_wire::activity::ActivityEvent;

use crate::store::{Member, Store, StoreError};

/// The part of a domain pattern that the id takes the place of.
pub const ID: &str = "{id}";

/// How scopes are called in the `domain` column.
#[derive(Clone, Debug)]
pub struct Domains {
    pub organizer: String,
    pub merchant: String,
}

impl Domains {
    fn of(&self, event: &ActivityEvent) -> Option<String> {
        let merchant = event.merchant_id.as_deref().map(|id| self.merchant.replace(ID, id));
        merchant.or_else(|| event.organizer_id.as_deref().map(|id| self.organizer.replace(ID, id)))
    }
}

/// Whom one event is for, as the event puts it.
#[derive(Clone, Debug)]
pub struct Audience {
    domain: Option<String>,
    named: Arc<[String]>,
    /// Who is left out of the domain: excluded, or named already.
    skipped: HashSet<String>,
}

impl Audience {
    /// Takes the event's user lists.
    pub fn of(event: &mut ActivityEvent, domains: &Domains) -> Self {
        let mut skipped: HashSet<String> = std::mem::take(&mut event.exclude_user_ids).into_iter().collect();
        let named =
            std::mem::take(&mut event.user_ids).into_iter().filter(|user| skipped.insert(user.clone())).collect();
        Self { domain: domains.of(event), named, skipped }
    }
}

/// How much of the directory is held and read at once.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Members that a batch holds in memory.
    pub held: usize,
    /// Members read at once of a scope that is not held.
    pub page: usize,
}

impl Limits {
    pub const DEFAULT: Self = Self { held: 20_000, page: 5_000 };
}

/// The members of a batch's scopes, as far as they are held.
#[derive(Debug)]
pub struct Directory {
    held: HashMap<String, Arc<[String]>>,
    page: usize,
}

/// Looks up the scopes of a whole batch.
pub async fn resolve(store: &dyn Store, audiences: &[Audience], limits: Limits) -> Result<Directory, StoreError> {
    let mut wanted: BTreeSet<&str> = audiences.iter().filter_map(|audience| audience.domain.as_deref()).collect();
    let mut held: HashMap<String, Arc<[String]>> = HashMap::new();
    let mut room = limits.held;
    while !wanted.is_empty() && room > 0 {
        let domains: Vec<String> = wanted.iter().copied().map(str::to_owned).collect();
        let members = store.members(&domains, None, room).await?;
        let complete = members.len() < room;
        let mut groups = by_domain(members);
        // The last scope of a full answer goes on behind it.
        let cut = if complete { None } else { groups.pop() };
        for (domain, users) in groups {
            room -= users.len();
            wanted.remove(domain.as_str());
            held.insert(domain, users.into());
        }
        let Some((domain, users)) = cut else {
            held.extend(wanted.iter().map(|domain| ((*domain).to_owned(), Arc::from([]))));
            break;
        };
        if users.len() * 2 < room {
            // It was the others that filled the answer.
            break;
        }
        wanted.remove(domain.as_str());
    }
    Ok(Directory { held, page: limits.page })
}

fn by_domain(members: Vec<Member>) -> Vec<(String, Vec<String>)> {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for Member { domain, user_id } in members {
        match groups.last_mut() {
            Some((last, users)) if *last == domain => users.push(user_id),
            _ => groups.push((domain, vec![user_id])),
        }
    }
    groups
}

/// The recipients of one event, page by page; nobody comes twice.
#[derive(Debug)]
pub struct Recipients<'a> {
    audience: &'a Audience,
    directory: &'a Directory,
    next: Next,
}

#[derive(Debug)]
enum Next {
    Named,
    Domain { after: Option<Member> },
    End,
}

impl<'a> Recipients<'a> {
    pub fn new(audience: &'a Audience, directory: &'a Directory) -> Self {
        Self { audience, directory, next: Next::Named }
    }

    /// The next page, which may be empty; `None` at the end. After a failure the same page is read again.
    pub async fn next(&mut self, store: &dyn Store) -> Result<Option<Vec<String>>, StoreError> {
        let (page, next) = match (&self.next, &self.audience.domain) {
            (Next::End, _) | (Next::Domain { .. }, None) => return Ok(None),
            (Next::Named, _) => (self.audience.named.to_vec(), Next::Domain { after: None }),
            (Next::Domain { after }, Some(domain)) => match self.directory.held.get(domain) {
                Some(users) => (users.iter().filter(|user| self.is_addressed(user)).cloned().collect(), Next::End),
                None => self.read(store, domain, after.as_ref()).await?,
            },
        };
        self.next = next;
        Ok(Some(page))
    }

    async fn read(
        &self,
        store: &dyn Store,
        domain: &String,
        after: Option<&Member>,
    ) -> Result<(Vec<String>, Next), StoreError> {
        let size = self.directory.page;
        let members = store.members(std::slice::from_ref(domain), after, size).await?;
        let next = match members.last() {
            Some(last) if members.len() == size => Next::Domain { after: Some(last.clone()) },
            _ => Next::End,
        };
        let users = members.into_iter().map(|member| member.user_id).filter(|user| self.is_addressed(user));
        Ok((users.collect(), next))
    }

    fn is_addressed(&self, user: &String) -> bool {
        !self.audience.skipped.contains(user)
    }
}
