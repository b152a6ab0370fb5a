//! What an operation asks for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Role;

/// What one needs to be let through to an operation. Which role that is, [`Permission::needs`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// What whoever has signed in may know: version, guides, who one is oneself.
    Hello,
    /// One's own account: sessions, password, tokens, notices.
    Mine,
    /// All that is read of an app.
    Look,
    /// Versions: deploy, promote, roll back, cancel, resume, abandon, plan, schedule, upload, test.
    Deploy,
    /// How an app is set up: source, variables, environments, windows, limits, channels.
    Configure,
    /// Who works on an app, who approves of its deployments, its tokens.
    Govern,
    /// An app, or an environment of it, with all that belongs to it.
    Delete,
    /// To say yes or no to a deployment: a person's alone.
    Vote,
    /// A new app.
    Create,
    /// Sources on the server's own disk.
    Local,
    /// The server's own state: cluster, certificates, metrics.
    ServerLook,
    /// The server's own affairs: ingress, certificates, retention, windows of all apps.
    Operate,
    /// Who may come in, and how.
    People,
    /// The audit log: of an app, or of everything.
    Audit,
}

/// What a [`Permission`] needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Needs {
    /// To be known; no role.
    SignedIn,
    /// To be a person, and it is one's own.
    Person,
    /// This role at the app.
    App(Role),
    /// The same, and to be a person.
    PersonAt(Role),
    /// This role everywhere.
    Everywhere(Role),
}

impl Permission {
    pub const ALL: [Permission; 14] = [
        Permission::Hello,
        Permission::Mine,
        Permission::Look,
        Permission::Deploy,
        Permission::Configure,
        Permission::Govern,
        Permission::Delete,
        Permission::Vote,
        Permission::Create,
        Permission::Local,
        Permission::ServerLook,
        Permission::Operate,
        Permission::People,
        Permission::Audit,
    ];

    pub const fn needs(self) -> Needs {
        match self {
            Permission::Hello => Needs::SignedIn,
            Permission::Mine => Needs::Person,
            Permission::Look => Needs::App(Role::Viewer),
            Permission::Deploy => Needs::App(Role::Deployer),
            Permission::Configure | Permission::Govern | Permission::Audit => Needs::App(Role::Admin),
            Permission::Delete => Needs::App(Role::Owner),
            Permission::Vote => Needs::PersonAt(Role::Viewer),
            Permission::ServerLook => Needs::Everywhere(Role::Viewer),
            Permission::Create => Needs::Everywhere(Role::Deployer),
            Permission::Local | Permission::Operate => Needs::Everywhere(Role::Admin),
            Permission::People => Needs::Everywhere(Role::Owner),
        }
    }

    /// What an agent may be let do. It must not make itself, or whoever talked it into that, a way in; nor shut people
    /// out; nor say yes in a person's place.
    pub const fn is_for_agents(self) -> bool {
        !matches!(self, Permission::Mine | Permission::Govern | Permission::People | Permission::Vote)
    }

    /// So grave that a person who signed in a while ago is asked for the password again before it changes anything.
    pub const fn is_sensitive(self) -> bool {
        matches!(self, Permission::Govern | Permission::People | Permission::Delete)
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Permission::Hello => "hello",
            Permission::Mine => "mine",
            Permission::Look => "look",
            Permission::Deploy => "deploy",
            Permission::Configure => "configure",
            Permission::Govern => "govern",
            Permission::Delete => "delete",
            Permission::Vote => "vote",
            Permission::Create => "create",
            Permission::Local => "local",
            Permission::ServerLook => "server_look",
            Permission::Operate => "operate",
            Permission::People => "people",
            Permission::Audit => "audit",
        }
    }
}

impl std::fmt::Display for Permission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// As it stands in a sentence: "this needs …".
impl std::fmt::Display for Needs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Needs::SignedIn => f.write_str("somebody who has signed in"),
            Needs::Person => f.write_str("a person, and is theirs alone"),
            Needs::App(role) => write!(f, "the role {role} at the app"),
            Needs::PersonAt(role) => write!(f, "a person with the role {role} at the app"),
            Needs::Everywhere(role) => write!(f, "the role {role} everywhere"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn each_permission_is_listed_once_under_one_name() {
        assert!(Permission::ALL.is_sorted());
        for permission in Permission::ALL {
            assert_eq!(serde_json::to_value(permission).unwrap(), permission.as_str());
            // Whoever may be asked for a password again is asked by nobody when an agent acts.
            assert!(!permission.is_sensitive() || !permission.is_for_agents() || permission == Permission::Delete);
        }
    }
}
