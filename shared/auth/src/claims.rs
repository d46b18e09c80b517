//! What a verified token says: claims, encrypted or not, to a [`Principal`].

use serde_json::{Map, Value};

use crate::{
    claims_cipher::ClaimsKey,
    principal::{Principal, Role, UserId},
    verifier::Refusal,
};

/// Claims that are never encrypted.
pub const REGISTERED: [&str; 7] = ["iss", "sub", "aud", "jti", "nbf", "exp", "iat"];

/// Decrypts name and value of every claim outside [`REGISTERED`].
///
/// A name that decrypts to a registered one, or to one that is there already, is refused:
/// which of the two would hold is a question that no token may ask.
pub(crate) fn decrypt(claims: &Map<String, Value>, key: &ClaimsKey) -> Result<Map<String, Value>, Refusal> {
    let mut plain = Map::with_capacity(claims.len());
    for (name, value) in claims {
        if REGISTERED.contains(&name.as_str()) {
            plain.insert(name.clone(), value.clone());
            continue;
        }
        let name = key.decrypt(name).map_err(|_| Refusal::Claims)?;
        let value = value.as_str().ok_or(Refusal::Claims)?;
        let value = key.decrypt(value).map_err(|_| Refusal::Claims)?;
        let value = serde_json::from_str(&value).map_err(|_| Refusal::Claims)?;
        let taken = REGISTERED.contains(&name.as_str()) || plain.insert(name, value).is_some();
        if taken {
            return Err(Refusal::Claims);
        }
    }
    Ok(plain)
}

/// The reverse of what verification does, for issuers: names and values encrypted, roles
/// as text. `iv` is asked for once per name and once per value.
pub fn encrypt(claims: &Map<String, Value>, key: &ClaimsKey, mut iv: impl FnMut() -> [u8; 16]) -> Map<String, Value> {
    claims
        .iter()
        .map(|(name, value)| {
            if REGISTERED.contains(&name.as_str()) {
                return (name.clone(), value.clone());
            }
            let value = match (name.as_str(), value) {
                ("roles", Value::Array(roles)) => roles.iter().map(role_text).collect(),
                _ => value.clone(),
            };
            let name = key.encrypt_with_iv(name, iv());
            (name, Value::String(key.encrypt_with_iv(&value.to_string(), iv())))
        })
        .collect()
}

fn role_text(role: &Value) -> Value {
    match parse_role(role) {
        // An id with a bar would be read back as a shorter one.
        Ok(Role { id, identifier, priority }) if !id.contains('|') => {
            Value::String(format!("{id}|{identifier}|{priority}"))
        }
        _ => role.clone(),
    }
}

/// `userId` (else `sub`), `principalType`, `roles`; `null` counts as absent.
pub(crate) fn principal(claims: &Map<String, Value>, expires_at: Option<i64>) -> Result<Principal, Refusal> {
    let user_id = present(claims, "userId").or_else(|| present(claims, "sub"));
    let user_id = user_id.and_then(UserId::from_json).ok_or(Refusal::Claims)?;
    let principal_type = match present(claims, "principalType") {
        None => "User".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(_) => return Err(Refusal::Claims),
    };
    let roles = match present(claims, "roles") {
        None => Vec::new(),
        Some(Value::Array(roles)) => roles.iter().map(parse_role).collect::<Result<_, _>>()?,
        Some(_) => return Err(Refusal::Claims),
    };
    Ok(Principal { user_id, principal_type, roles, expires_at })
}

fn present<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    claims.get(name).filter(|value| !value.is_null())
}

/// A role is an object or, in encrypted tokens, the text `id|identifier|priority`.
fn parse_role(role: &Value) -> Result<Role, Refusal> {
    match role {
        Value::Object(fields) => {
            let id = match present(fields, "id") {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Number(number)) => number.to_string(),
                _ => return Err(Refusal::Claims),
            };
            let identifier = present(fields, "identifier").and_then(Value::as_str).ok_or(Refusal::Claims)?;
            let priority = match present(fields, "priority") {
                None => 0,
                Some(value) => value.as_i64().ok_or(Refusal::Claims)?,
            };
            Ok(Role { id, identifier: identifier.to_owned(), priority })
        }
        Value::String(text) => {
            let (id, rest) = text.split_once('|').ok_or(Refusal::Claims)?;
            let (identifier, priority) = rest.rsplit_once('|').ok_or(Refusal::Claims)?;
            let priority = priority.parse().map_err(|_| Refusal::Claims)?;
            Ok(Role { id: id.to_owned(), identifier: identifier.to_owned(), priority })
        }
        _ => Err(Refusal::Claims),
    }
}
