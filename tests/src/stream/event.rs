//! One event: what the producer says, and whom it must reach.
//!
//! [`Event::recipients`] is worked out from the protocol's text and the enrolments alone. It shares nothing with the
//! worker, whose rows it is held against.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    members::{AUDIENCE, Members},
    random::Random,
};

#[derive(Clone, Debug, Default)]
pub struct Event {
    pub number: usize,
    pub merchant: Option<String>,
    pub organizer: Option<String>,
    /// May hold somebody twice, and people of the merchant.
    pub named: Vec<String>,
    /// May hold people whom nobody meant.
    pub excluded: Vec<String>,
    pub amount: usize,
}

impl Event {
    /// Any kind of scope, for as many people as an audience may have.
    pub fn generate(random: &mut Random, members: &Members, number: usize) -> Self {
        loop {
            let event = Self::any(random, members, number);
            if (AUDIENCE.0..=AUDIENCE.1).contains(&event.recipients(members).len()) {
                return event;
            }
        }
    }

    fn any(random: &mut Random, members: &Members, number: usize) -> Self {
        let mut event = Self { number, amount: random.between(1, 5_000_000), ..Self::default() };
        let merchants: Vec<&String> = members.merchants.keys().collect();
        let organizers: Vec<&String> = members.organizers.keys().collect();
        let (merchant, organizer) = ((*random.one(&merchants)).clone(), (*random.one(&organizers)).clone());
        match random.below(8) {
            0..=2 => event.merchant = Some(merchant),
            3 | 4 => (event.merchant, event.organizer) = (Some(merchant), Some(organizer)),
            5 => event.organizer = Some(organizer),
            6 => event.named = several(random, &members.users, 3, 20),
            _ => {
                event.named = several(random, &members.users, 1, 5);
                event.merchant = Some(merchant);
            }
        }
        if random.once_in(3) {
            let meant: Vec<String> = event.recipients(members).into_iter().collect();
            event.excluded = several(random, &meant, 1, 3);
            event.excluded.extend(several(random, &members.users, 1, 3));
        }
        if !event.named.is_empty() && random.once_in(4) {
            let again = random.one(&event.named).clone();
            event.named.push(again);
        }
        event
    }

    pub fn id(&self) -> String {
        format!("evt_{:06}", self.number)
    }

    /// What must stay in order: events of one key are of one partition.
    pub fn key(&self) -> &str {
        let first = self.named.first();
        self.merchant.as_deref().or(self.organizer.as_deref()).or(first.map(String::as_str)).unwrap_or_default()
    }

    /// The people of the merchant, or of the organizer where no merchant is given, and those who are named; without
    /// those who are excluded, and nobody twice.
    pub fn recipients(&self, members: &Members) -> BTreeSet<String> {
        let scope = match (&self.merchant, &self.organizer) {
            (Some(merchant), _) => members.merchants.get(merchant),
            (None, Some(organizer)) => members.organizers.get(organizer),
            (None, None) => None,
        };
        let mut recipients: BTreeSet<String> = scope.into_iter().flatten().chain(&self.named).cloned().collect();
        for user in &self.excluded {
            recipients.remove(user);
        }
        recipients
    }

    /// The value of its record, on one line.
    pub fn value(&self) -> Value {
        let mut value = json!({
            "id": self.id(), "type": "PAYMENT_SUCCESS", "occurredAt": "2026-11-23T08:00:00.000Z",
            "data": { "amount": self.amount.to_string(), "currency": "VND", "orderCode": format!("A-{}", self.number),
                      "paymentMethod": "CARD", "merchantName": "Cà Phê 79" },
        });
        let lists = [("userIds", &self.named), ("excludeUserIds", &self.excluded)];
        for (name, users) in lists.into_iter().filter(|(_, users)| !users.is_empty()) {
            value[name] = json!(users);
        }
        for (name, id) in [("merchantId", &self.merchant), ("organizerId", &self.organizer)] {
            if let Some(id) = id {
                value[name] = json!(id);
            }
        }
        if let Some(actor) = self.excluded.first() {
            value["actor"] = json!({ "id": actor, "type": "User" });
        }
        value
    }
}

fn several(random: &mut Random, of: &[String], low: usize, high: usize) -> Vec<String> {
    let count = random.between(low, high);
    random.some(of, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn people(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn the_narrower_scope_and_who_is_named_without_who_is_excluded() {
        let mut members = Members::default();
        members.merchants.insert("mer-1".to_owned(), people(&["an", "binh", "chi"]));
        members.organizers.insert("org-1".to_owned(), people(&["an", "dung"]));
        let event = |merchant: Option<&str>, named: &[&str], excluded: &[&str]| Event {
            merchant: merchant.map(str::to_owned),
            organizer: Some("org-1".to_owned()),
            named: people(named),
            excluded: people(excluded),
            ..Event::default()
        };
        let recipients = |event: Event| -> Vec<String> { event.recipients(&members).into_iter().collect() };
        assert_eq!(recipients(event(Some("mer-1"), &[], &[])), ["an", "binh", "chi"]);
        assert_eq!(recipients(event(None, &[], &["an"])), ["dung"]);
        assert_eq!(recipients(event(Some("mer-1"), &["em", "an", "em"], &["binh", "em"])), ["an", "chi"]);
    }
}
