//! Which database of our own: the file in the data folder, or PostgreSQL.

use std::path::PathBuf;

use operations::Error;
use secrecy::SecretString;

use crate::failure::Failure;
use crate::output::Output;

/// Where the database is.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct DatabaseArgs {
    /// File with the address of a PostgreSQL database, postgres://…; by default PLIMSOLL_DATABASE_URL, else SQLite in the data folder.
    #[arg(long, value_name = "FILE", conflicts_with = "database_url")]
    database_url_file: Option<PathBuf>,
    /// Address of a PostgreSQL database without a password in it: everybody on this machine can read it.
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
}

impl DatabaseArgs {
    /// The address; `None` means SQLite in the data folder.
    pub(crate) fn find(&self, out: &Output) -> Result<Option<SecretString>, Failure> {
        let url = match (&self.database_url_file, &self.database_url) {
            (Some(path), _) => Some(std::fs::read_to_string(path).map_err(|e| Failure::file("read", path, &e))?),
            (None, Some(url)) => {
                if has_password(url) {
                    out.warn("the password in --database-url can be read by everybody on this machine: use --database-url-file or PLIMSOLL_DATABASE_URL");
                }
                Some(url.clone())
            }
            (None, None) => std::env::var("PLIMSOLL_DATABASE_URL").ok(),
        };
        let Some(url) = url.map(|url| url.trim().to_owned()).filter(|url| !url.is_empty()) else {
            return Ok(None);
        };
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Ok(Some(url.into()))
        } else {
            // The text is not shown, as it may hold a password.
            Err(Error::invalid("the address of the database does not begin with postgres://")
                .hint("For SQLite give none: it is in the data folder")
                .into())
        }
    }
}

/// `scheme://user:password@host`, or `password=` among its options.
fn has_password(url: &str) -> bool {
    let Some((_, rest)) = url.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let in_user = authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'));
    in_user || rest.split_once('?').is_some_and(|(_, query)| query.contains("password="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_in_addresses_are_noticed() {
        for url in [
            "postgres://me:secret@host/db",
            "postgres://host/db?user=me&password=x",
            "postgres://me:p%40@[::1]:5432/db",
        ] {
            assert!(has_password(url), "{url}");
        }
        for url in ["postgres://host:5432/db", "postgres://me@host:5432/db", "postgres:///db?host=/run/pg", "nonsense"]
        {
            assert!(!has_password(url), "{url}");
        }
    }
}
