//! The demo's cast: three people at two merchants whom the page offers, and an operator for the API.

use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Merchant {
    pub id: &'static str,
    pub name: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Role {
    pub id: &'static str,
    pub identifier: &'static str,
    pub name: &'static str,
    pub priority: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Person {
    pub id: &'static str,
    pub name: &'static str,
    pub role: Role,
    pub merchants: &'static [Merchant],
}

pub const CAFE: Merchant = Merchant { id: "mer-cafe-79", name: "Cà Phê 79" };
pub const BAKERY: Merchant = Merchant { id: "mer-banh-mi-sen", name: "Bánh Mì Sen" };
pub const MERCHANTS: [Merchant; 2] = [CAFE, BAKERY];

const OWNER: Role = Role { id: "demo-role-owner", identifier: "owner", name: "Owner", priority: 100 };
const CASHIER: Role = Role { id: "demo-role-cashier", identifier: "cashier", name: "Cashier", priority: 20 };
/// The platform's role of those who may do everything.
const SUPER_ADMIN: Role =
    Role { id: "demo-role-super-admin", identifier: "super-admin", name: "Operator", priority: 1000 };

/// Whom the page offers to sign in as.
pub const PEOPLE: [Person; 3] = [
    Person { id: "user-lan", name: "Lan", role: OWNER, merchants: &[CAFE, BAKERY] },
    Person { id: "user-minh", name: "Minh", role: CASHIER, merchants: &[CAFE] },
    Person { id: "user-thao", name: "Thảo", role: CASHIER, merchants: &[BAKERY] },
];

/// Who may manage connected clients; at no merchant, so that no payment is theirs.
pub const OPERATOR: Person = Person { id: "operator", name: "Operator", role: SUPER_ADMIN, merchants: &[] };

pub fn everybody() -> impl Iterator<Item = &'static Person> {
    PEOPLE.iter().chain([&OPERATOR])
}

pub fn person(id: &str) -> Option<&'static Person> {
    everybody().find(|person| person.id == id)
}

pub fn merchant(id: &str) -> Option<&'static Merchant> {
    MERCHANTS.iter().find(|merchant| merchant.id == id)
}
