//! Environment variables: kept sealed, opened for a deployment, completed for a process.

use std::collections::BTreeMap;
use std::path::Path;

use domain::EnvironmentId;
use secrecy::{ExposeSecret, SecretString};
use store::{Session, Store, StoreError, Tx};
use zeroize::Zeroizing;

use crate::vault::{DataKey, Vault, VaultError};

/// What a snapshot is sealed as.
const SNAPSHOT: &str = "environment snapshot";

/// Variables with their values. `Debug` shows names only.
#[derive(Clone, Default)]
pub(crate) struct Variables(BTreeMap<String, SecretString>);

#[derive(Debug, thiserror::Error)]
pub(crate) enum VariablesError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error("the environment snapshot is not readable: {0}")]
    Garbled(String),
}

impl std::fmt::Debug for Variables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

impl Variables {
    /// The variables of an environment as they are now.
    pub(crate) async fn load(
        session: &impl Session,
        vault: &Vault,
        environment: &EnvironmentId,
    ) -> Result<Self, VariablesError> {
        let Some(key) = find_data_key(session, vault, environment).await? else { return Ok(Self::default()) };
        let mut variables = BTreeMap::new();
        for row in store::variables::list(session, environment).await? {
            let plain = key.open(&row.name, &row.sealed)?;
            let text = std::str::from_utf8(&plain).map_err(|e| VariablesError::Garbled(e.to_string()))?;
            variables.insert(row.name, SecretString::from(text));
        }
        Ok(Self(variables))
    }

    /// The variables of a snapshot made by [`Variables::seal`].
    pub(crate) async fn open_snapshot(
        store: &Store,
        vault: &Vault,
        environment: &EnvironmentId,
        sealed: &[u8],
    ) -> Result<Self, VariablesError> {
        let Some(key) = find_data_key(store, vault, environment).await? else {
            return Err(VaultError::Sealed.into());
        };
        let plain = key.open(SNAPSHOT, sealed)?;
        let map: BTreeMap<String, String> =
            serde_json::from_slice(&plain).map_err(|e| VariablesError::Garbled(e.to_string()))?;
        Ok(Self(map.into_iter().map(|(k, v)| (k, SecretString::from(v))).collect()))
    }

    pub(crate) fn seal(&self, key: &DataKey) -> Result<Vec<u8>, VariablesError> {
        let plain =
            Zeroizing::new(serde_json::to_vec(&self.to_map()).map_err(|e| VariablesError::Garbled(e.to_string()))?);
        Ok(key.seal(SNAPSHOT, &plain)?)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &str> {
        self.0.values().map(|v| v.expose_secret())
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The values in the open, for a process or a digest.
    pub(crate) fn to_map(&self) -> BTreeMap<String, String> {
        self.0.iter().map(|(k, v)| (k.clone(), v.expose_secret().to_owned())).collect()
    }
}

async fn find_data_key(
    session: &impl Session,
    vault: &Vault,
    environment: &EnvironmentId,
) -> Result<Option<DataKey>, VariablesError> {
    let wrapped = store::data_keys::find(session, environment).await?;
    wrapped.map(|w| vault.unwrap(environment.as_str(), &w)).transpose().map_err(Into::into)
}

/// The environment's data key, made if it has none yet.
pub(crate) async fn data_key(tx: &Tx, vault: &Vault, environment: &EnvironmentId) -> Result<DataKey, VariablesError> {
    if let Some(key) = find_data_key(tx, vault, environment).await? {
        return Ok(key);
    }
    let (key, wrapped) = vault.new_data_key(environment.as_str())?;
    store::data_keys::set(tx, environment, &wrapped).await?;
    Ok(key)
}

/// Variables of the server's own that builds and apps may see: where programs, proxies and certificates are.
const PASSED: [&str; 20] = [
    "PATH",
    "LANG",
    "LC_ALL",
    "TZ",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "PIP_INDEX_URL",
    "PIP_CERT",
    "PIP_FIND_LINKS",
    "PYENV_ROOT",
    "RUSTUP_HOME",
];

/// Adds what every process of an app's needs: passed-on variables, and a `PATH` on which
/// the programs that the app brought along come first.
pub(crate) fn complete(env: &mut BTreeMap<String, String>, folder: &Path) {
    for name in PASSED {
        if let (false, Ok(value)) = (env.contains_key(name), std::env::var(name)) {
            env.insert(name.to_owned(), value);
        }
    }
    let own = [".venv/bin", "node_modules/.bin", "bin"].map(|dir| folder.join(dir));
    let mut path: Vec<String> = own.iter().filter(|d| d.is_dir()).map(|d| d.display().to_string()).collect();
    path.push(env.get("PATH").cloned().unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".to_owned()));
    env.insert("PATH".to_owned(), path.join(":"));
    let venv = folder.join(".venv");
    if venv.is_dir() {
        env.entry("VIRTUAL_ENV".to_owned()).or_insert_with(|| venv.display().to_string());
        env.entry("PYTHONUNBUFFERED".to_owned()).or_insert_with(|| "1".to_owned());
    }
}

/// Adds who the process is, which programs otherwise look for among the system's users.
pub(crate) fn identify(env: &mut BTreeMap<String, String>, app: &str) {
    for name in ["USER", "LOGNAME"] {
        env.entry(name.to_owned()).or_insert_with(|| app.to_owned());
    }
}

/// Adds what a command of a deployment has for itself while it runs.
pub(crate) fn complete_command(env: &mut BTreeMap<String, String>, home: &Path, temp: &Path) {
    env.insert("HOME".to_owned(), home.display().to_string());
    env.insert("TMPDIR".to_owned(), temp.display().to_string());
}

/// Adds what builds need on top: caches that outlive the deployment.
pub(crate) fn complete_build(env: &mut BTreeMap<String, String>, cache: &Path) {
    let at = |dir: &str| cache.join(dir).display().to_string();
    // Rustup finds its toolchains below the real home unless told.
    if let (false, Some(home)) = (env.contains_key("RUSTUP_HOME"), std::env::home_dir()) {
        let rustup = home.join(".rustup");
        if rustup.is_dir() {
            env.insert("RUSTUP_HOME".to_owned(), rustup.display().to_string());
        }
    }
    for (name, value) in [
        ("CI", "true".to_owned()),
        ("npm_config_cache", at("npm")),
        ("YARN_CACHE_FOLDER", at("yarn")),
        ("PIP_CACHE_DIR", at("pip")),
        ("POETRY_CACHE_DIR", at("poetry")),
        ("UV_CACHE_DIR", at("uv")),
        // Not as links: a release's files are nobody else's.
        ("UV_LINK_MODE", "copy".to_owned()),
        ("CARGO_HOME", at("cargo")),
        ("CARGO_TARGET_DIR", at("cargo-target")),
        ("GOCACHE", at("go-build")),
        ("GOMODCACHE", at("go-mod")),
    ] {
        env.insert(name.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_apps_own_programs_come_first_and_its_variables_win() {
        let dir = tempfile::tempdir().map(|d| d.keep()).unwrap_or_default();
        std::fs::create_dir_all(dir.join(".venv/bin")).unwrap_or_default();
        let mut env = BTreeMap::from([("TZ".to_owned(), "Mars/Olympus".to_owned())]);
        complete(&mut env, &dir);
        assert!(env["PATH"].starts_with(&dir.join(".venv/bin").display().to_string()));
        assert_eq!(env["TZ"], "Mars/Olympus");
        assert!(!env.contains_key("HOME"), "the server's home is not passed on");
        let _ = std::fs::remove_dir_all(dir);
    }
}
