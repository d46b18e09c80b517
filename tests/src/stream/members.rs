//! Who belongs to whom: the people of merchants and organizers, as the platform would have enrolled them.

use std::collections::BTreeMap;

use super::random::Random;

/// The smallest and the largest audience of one event.
pub const AUDIENCE: (usize, usize) = (3, 50);

/// Merchants and organizers by id, each with its people, nobody twice.
#[derive(Clone, Debug, Default)]
pub struct Members {
    pub users: Vec<String>,
    pub merchants: BTreeMap<String, Vec<String>>,
    pub organizers: BTreeMap<String, Vec<String>>,
}

impl Members {
    pub fn generate(random: &mut Random, users: usize, merchants: usize, organizers: usize) -> Self {
        let users: Vec<String> = (0..users).map(|number| format!("user-{number}")).collect();
        let mut scopes = |prefix: &str, count: usize| -> BTreeMap<String, Vec<String>> {
            let mut scope = |number: usize| {
                let size = random.between(AUDIENCE.0, AUDIENCE.1);
                (format!("{prefix}-{number}"), random.some(&users, size))
            };
            (0..count).map(&mut scope).collect()
        };
        let (merchants, organizers) = (scopes("mer", merchants), scopes("org", organizers));
        Self { users, merchants, organizers }
    }

    /// The rows of `PolicyDefinition` that say so: domain and user.
    pub fn enrolments(&self) -> Vec<(String, String)> {
        let of = |kind: &'static str, scopes: &BTreeMap<String, Vec<String>>| -> Vec<(String, String)> {
            let each = scopes.iter().flat_map(|(id, users)| users.iter().map(move |user| (id, user)));
            each.map(|(id, user)| (format!("{kind}_{id}"), user.clone())).collect()
        };
        [of("Merchant", &self.merchants), of("Organizer", &self.organizers)].concat()
    }
}
