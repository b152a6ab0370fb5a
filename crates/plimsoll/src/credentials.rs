//! What `plimsoll login` keeps: a token for each server, in `~/.config/plimsoll/credentials.toml`, readable by its user alone.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use domain::TokenId;
use operations::Error;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};

use crate::failure::Failure;

/// The file.
pub(crate) struct Credentials {
    path: PathBuf,
    kept: Kept,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    /// By the server's address.
    #[serde(default)]
    servers: BTreeMap<String, Credential>,
}

/// A login.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credential {
    #[serde(serialize_with = "shown")]
    pub(crate) secret: SecretString,
    pub(crate) token: TokenId,
    /// Whom it acts for.
    pub(crate) person: String,
    pub(crate) expires_at: DateTime<Utc>,
}

/// The one place where it is meant to be readable.
fn shown<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

impl Credentials {
    /// Those of whoever runs this; none where there is no such file.
    pub(crate) fn open() -> Result<Self, Failure> {
        let path = path(|name| std::env::var(name).ok()).ok_or_else(|| {
            Failure::usage("nowhere to keep a login: neither HOME nor XDG_CONFIG_HOME is set")
                .hint("Set HOME, or use PLIMSOLL_TOKEN")
        })?;
        Self::read(path)
    }

    /// Whether there can be any.
    pub(crate) fn have_a_place() -> bool {
        path(|name| std::env::var(name).ok()).is_some()
    }

    fn read(path: PathBuf) -> Result<Self, Failure> {
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Self { path, kept: Kept::default() }),
            Err(e) => return Err(Failure::file("read", &path, &e)),
        };
        refuse_exposed(&path)?;
        // What the parser shows of a line that it can't read may be a token.
        let kept = toml::from_str(&text).map_err(|e| {
            let line = e.span().map(|span| text[..span.start.min(text.len())].lines().count().max(1));
            let line = line.map(|line| format!(", near line {line}")).unwrap_or_default();
            Failure::from(Error::invalid(format!("{}{line}: not what `plimsoll login` writes", path.display())))
                .hint("Put it right or remove it, then log in again")
        })?;
        Ok(Self { path, kept })
    }

    pub(crate) fn of(&self, server: &str) -> Option<&Credential> {
        self.kept.servers.get(&form(server))
    }

    pub(crate) fn servers(&self) -> impl Iterator<Item = &str> {
        self.kept.servers.keys().map(String::as_str)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts it in the place of the one that was kept for this server.
    pub(crate) fn keep(&mut self, server: &str, credential: Credential) -> Result<(), Failure> {
        self.kept.servers.insert(form(server), credential);
        self.write()
    }

    pub(crate) fn forget(&mut self, server: &str) -> Result<(), Failure> {
        match self.kept.servers.remove(&form(server)) {
            Some(_) => self.write(),
            None => Ok(()),
        }
    }

    /// Whole or not at all, and nobody else's to read at any moment.
    fn write(&self) -> Result<(), Failure> {
        let file = |e: io::Error| Failure::file("write", &self.path, &e);
        let text = toml::to_string(&self.kept).map_err(|e| file(io::Error::other(e)))?;
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(file)?;
        // Made with mode 0600.
        let mut temporary = tempfile::NamedTempFile::new_in(folder).map_err(file)?;
        temporary.write_all(text.as_bytes()).and_then(|()| temporary.as_file().sync_all()).map_err(file)?;
        temporary.persist(&self.path).map_err(|e| file(e.error))?;
        Ok(())
    }
}

/// As keys for files of others are refused by ssh: who can read it has been able to copy it.
fn refuse_exposed(path: &Path) -> Result<(), Failure> {
    let mode = fs::metadata(path).map_err(|e| Failure::file("read", path, &e))?.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(Failure::from(Error::invalid(format!(
        "others may read {} (mode {mode:o}), and it holds tokens",
        path.display()
    )))
    .hint("Run `chmod 600` on it; if others use this machine, revoke its tokens and log in again"))
}

/// One server has one entry, with or without a slash at its end.
fn form(server: &str) -> String {
    let bare = server.trim_end_matches('/');
    match bare.split_once("://") {
        // The path, if any, keeps its case.
        Some((scheme, rest)) => {
            let (host, path) = rest.split_once('/').map_or((rest, String::new()), |(h, p)| (h, format!("/{p}")));
            format!("{}://{}{path}", scheme.to_ascii_lowercase(), host.to_ascii_lowercase())
        }
        None => bare.to_owned(),
    }
}

fn path(var: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let given = |name: &str| var(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let config = given("XDG_CONFIG_HOME").or_else(|| given("HOME").map(|home| home.join(".config")))?;
    Some(config.join("plimsoll").join("credentials.toml"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn credential(secret: &str) -> Credential {
        Credential {
            secret: secret.to_owned().into(),
            token: "tok_01jd0000000000000000000000".parse().unwrap(),
            person: "Zoë \"Z\"".to_owned(),
            expires_at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_login_is_kept_by_server_for_its_user_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/credentials.toml");
        let mut kept = Credentials::read(path.clone()).unwrap();
        assert!(kept.of("https://a.example").is_none());
        kept.keep("https://A.example/", credential("one")).unwrap();
        kept.keep("http://127.0.0.1:7878", credential("two")).unwrap();
        kept.keep("https://a.example", credential("three")).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o077, 0);

        let mut again = Credentials::read(path.clone()).unwrap();
        assert_eq!(again.servers().collect::<Vec<_>>(), ["http://127.0.0.1:7878", "https://a.example"]);
        let found = again.of("https://a.EXAMPLE//").unwrap();
        assert_eq!((found.secret.expose_secret(), found.person.as_str()), ("three", "Zoë \"Z\""));
        again.forget("https://a.example").unwrap();
        again.forget("https://a.example").unwrap();
        assert!(Credentials::read(path).unwrap().of("https://a.example").is_none());
    }

    #[test]
    fn what_others_can_read_or_nobody_can_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("credentials.toml");
        let mut kept = Credentials::read(path.clone()).unwrap();
        kept.keep("https://a.example", credential("s3cret")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let told = |failure: Option<Failure>| format!("{:?}", failure.unwrap());
        assert!(told(Credentials::read(path.clone()).err()).contains("mode 644"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "[servers]\nsecret = s3cret\n").unwrap();
        let said = told(Credentials::read(path).err());
        assert!(said.contains("near line") && !said.contains("s3cret"), "{said}");
    }

    #[test]
    fn it_is_where_the_standard_says() {
        let only = |name: &'static str, value: &'static str| move |v: &str| (v == name).then(|| value.to_owned());
        assert_eq!(path(only("HOME", "/h")), Some("/h/.config/plimsoll/credentials.toml".into()));
        assert_eq!(path(only("XDG_CONFIG_HOME", "/c")), Some("/c/plimsoll/credentials.toml".into()));
        assert_eq!(path(|_| None), None);
    }
}
