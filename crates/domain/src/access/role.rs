//! What somebody is at a place.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A role at an app or everywhere, the least first: each may do all that those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Looks, and changes nothing.
    Viewer,
    /// Brings versions out and takes them back.
    Deployer,
    /// Changes how an app is set up and who works on it; everywhere: runs the server.
    Admin,
    /// May delete; everywhere: decides who may come in.
    Owner,
}

/// The text names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a role: expected viewer, deployer, admin or owner")]
pub struct UnknownRole(String);

impl Role {
    pub const ALL: [Role; 4] = [Role::Viewer, Role::Deployer, Role::Admin, Role::Owner];

    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Deployer => "deployer",
            Role::Admin => "admin",
            Role::Owner => "owner",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        let known = Role::ALL.into_iter().find(|role| role.as_str() == text);
        known.ok_or_else(|| UnknownRole(text.chars().take(40).collect()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_in_order_and_have_one_name_everywhere() {
        assert!(Role::ALL.is_sorted());
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
        }
        let unknown = "Owner".parse::<Role>().unwrap_err().to_string();
        assert!(unknown.contains("`Owner`") && unknown.contains("viewer, deployer, admin or owner"), "{unknown}");
    }
}
