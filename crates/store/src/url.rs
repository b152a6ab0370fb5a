//! Where the database is.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;

use crate::Kind;

/// `sqlite:<path>` or `postgres://user:password@host:port/database`.
///
/// `Display` and `Debug` leave the password out, so the value may be logged.
#[derive(Clone)]
pub struct DatabaseUrl(Target);

#[derive(Clone)]
pub(crate) enum Target {
    Sqlite(PathBuf),
    Postgres(Box<PgConnectOptions>),
}

/// The text is no database URL. It may hold a password, so it is not repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the database URL is not valid: {why}; use `sqlite:<path>` or `postgres://user:password@host:port/database`")]
pub struct InvalidUrl {
    why: &'static str,
}

impl DatabaseUrl {
    /// The SQLite database in the file `path`.
    pub fn sqlite(path: impl Into<PathBuf>) -> Self {
        Self(Target::Sqlite(path.into()))
    }

    pub fn kind(&self) -> Kind {
        match self.0 {
            Target::Sqlite(_) => Kind::Sqlite,
            Target::Postgres(_) => Kind::Postgres,
        }
    }

    /// The file, when it is one.
    pub fn path(&self) -> Option<&Path> {
        match &self.0 {
            Target::Sqlite(path) => Some(path),
            Target::Postgres(_) => None,
        }
    }

    pub(crate) fn target(&self) -> &Target {
        &self.0
    }
}

impl FromStr for DatabaseUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        if let Some(rest) = text.strip_prefix("sqlite:") {
            // `sqlite:///var/x` is what other programs write for `/var/x`.
            let path = rest.strip_prefix("//").unwrap_or(rest);
            return match path {
                "" => Err(InvalidUrl { why: "the path is missing" }),
                // Each connection would have a database of its own.
                ":memory:" => Err(InvalidUrl { why: "a database in memory would be lost at once" }),
                _ if path.contains(['?', '\0']) => Err(InvalidUrl { why: "the path holds `?` or a NUL" }),
                _ => Ok(Self::sqlite(path)),
            };
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            let options = text
                .parse::<PgConnectOptions>()
                .map_err(|_| InvalidUrl { why: "it can't be read as a PostgreSQL URL" })?;
            return Ok(Self(Target::Postgres(Box::new(options))));
        }
        Err(InvalidUrl { why: "it begins with neither `sqlite:` nor `postgres://`" })
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Target::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Target::Postgres(options) => {
                write!(f, "postgres://{}@", options.get_username())?;
                match options.get_socket() {
                    Some(socket) => write!(f, "{}", socket.display())?,
                    None => write!(f, "{}:{}", options.get_host(), options.get_port())?,
                }
                write!(f, "/{}", options.get_database().unwrap_or(options.get_username()))
            }
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_kinds() {
        for (text, shown) in [
            ("sqlite:plimsoll.db", "sqlite:plimsoll.db"),
            ("sqlite:/var/lib/p.db", "sqlite:/var/lib/p.db"),
            ("sqlite:///var/lib/p.db", "sqlite:/var/lib/p.db"),
            ("postgres://joe:hunter2@db.example:5433/plimsoll", "postgres://joe@db.example:5433/plimsoll"),
            ("postgresql://joe@127.0.0.1/p?sslmode=disable", "postgres://joe@127.0.0.1:5432/p"),
        ] {
            assert_eq!(text.parse::<DatabaseUrl>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn never_shows_a_password() {
        for text in [
            "postgres://joe:hunter2@db.example/p",
            "postgres://joe:hunter2@db.example:port/p",
            "postgres://db.example/p?user=joe&password=hunter2",
            "mysql://joe:hunter2@db.example/p",
        ] {
            let parsed = text.parse::<DatabaseUrl>();
            let shown = match &parsed {
                Ok(url) => format!("{url} {url:?}"),
                Err(error) => format!("{error} {error:?}"),
            };
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }

    #[test]
    fn refuses_what_can_not_work() {
        for text in
            ["", "sqlite:", "sqlite::memory:", "sqlite:a?mode=ro", "mysql://x/y", "/var/p.db", "postgres://h:x/y"]
        {
            assert!(text.parse::<DatabaseUrl>().is_err(), "{text}");
        }
    }
}
