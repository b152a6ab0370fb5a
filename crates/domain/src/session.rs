//! Sessions of people: how they begin and end.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Not used for so long, a session has ended.
pub const IDLE: chrono::TimeDelta = chrono::TimeDelta::hours(24);

/// How somebody signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SignInMethod {
    Password,
    Oidc,
    /// By accepting an invitation.
    Invitation,
}

impl SignInMethod {
    pub const ALL: [Self; 3] = [Self::Password, Self::Oidc, Self::Invitation];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Oidc => "oidc",
            Self::Invitation => "invitation",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == name)
    }
}

/// Why a session ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SessionEnd {
    /// Its person signed out, or somebody signed in anew in its browser.
    SignedOut,
    /// Ended from another session, by its person or by an operator.
    Ended,
    /// The password was changed elsewhere.
    PasswordChanged,
    /// The person was disabled.
    Disabled,
}

impl SessionEnd {
    pub const ALL: [Self; 4] = [Self::SignedOut, Self::Ended, Self::PasswordChanged, Self::Disabled];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignedOut => "signed_out",
            Self::Ended => "ended",
            Self::PasswordChanged => "password_changed",
            Self::Disabled => "disabled",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|end| end.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        assert!(SignInMethod::ALL.into_iter().all(|m| SignInMethod::from_name(m.as_str()) == Some(m)));
        assert!(SessionEnd::ALL.into_iter().all(|e| SessionEnd::from_name(e.as_str()) == Some(e)));
        assert_eq!((SignInMethod::from_name("Password"), SessionEnd::from_name("")), (None, None));
    }
}
