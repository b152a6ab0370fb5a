//! What the control plane sets for the whole ingress. Kept in a file of its own, so that it holds after any restart.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::files;
use domain::network::Network;

/// What can change while the ingress runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Proxies in front of the ingress: what they say about the client (`X-Forwarded-*`, `Forwarded`, `X-Real-IP`) is
    /// passed on. From all others it is replaced by what the ingress itself sees.
    #[serde(default)]
    pub trusted_proxies: Vec<Network>,
}

/// The folder's policy, and what was wrong with them. Without it nobody is trusted.
pub(crate) fn load(dir: &Path) -> (Policy, Option<String>) {
    match fs::read(dir.join(files::POLICY)) {
        Ok(text) => match serde_json::from_slice(&text) {
            Ok(policy) => (policy, None),
            Err(e) => {
                let fault = format!("{} is unreadable ({e}), so no proxy is trusted", files::POLICY);
                (Policy::default(), Some(fault))
            }
        },
        Err(e) if e.kind() == io::ErrorKind::NotFound => (Policy::default(), None),
        Err(e) => (Policy::default(), Some(format!("{} can't be read: {e}", files::POLICY))),
    }
}

pub(crate) fn save(dir: &Path, policy: &Policy) -> io::Result<()> {
    files::replace(dir, files::POLICY, &serde_json::to_vec_pretty(policy)?)
}
