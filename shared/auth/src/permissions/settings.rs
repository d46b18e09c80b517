//! The settings of permission checks.

use std::{convert::Infallible, str::FromStr};

#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Permissions")]
pub struct PermissionSettings {
    /// Roles whose holders pass every permission check, by identifier, separated by commas; a comma alone: none.
    #[arg(long, env = "SIGNAL_ALWAYS_ALLOW_ROLES", value_name = "ROLES", default_value = "super-admin")]
    pub always_allow_roles: RoleList,
}

/// Role identifiers, compared as they are written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoleList(Vec<String>);

impl RoleList {
    pub fn contains(&self, identifier: &str) -> bool {
        self.0.iter().any(|role| role == identifier)
    }
}

impl FromStr for RoleList {
    type Err = Infallible;

    /// Spaces around identifiers and empty items mean nothing.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.split(',').map(str::trim).filter(|role| !role.is_empty()).map(str::to_owned).collect()))
    }
}
