//! The kinds of error, and how a database's own errors become one of them.

use std::fmt;

use domain::DeploymentId;
use domain::phase::Phase;
use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr, SqlErr};

/// What can go wrong with the store.
///
/// `NotFound`, `Conflict`, `Fenced` and `IllegalPhase` mean that the call has written nothing, and leave the
/// [`Tx`](crate::Tx) usable, but for `Conflict(Reference)`. After that and all others a `Tx` can't be committed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is no such row; `what` names it.
    #[error("{what} does not exist")]
    NotFound { what: String },
    /// The write would break a rule.
    #[error("{0}")]
    Conflict(Constraint),
    /// Somebody newer has taken over; the writer must stop. `by` is the fence or generation that stands.
    #[error("{what} was taken over by a newer one ({by}); this one must stop")]
    Fenced { what: String, by: u64 },
    /// A deployment can't go from one phase to the other.
    #[error("deployment {deployment} can't go from `{from}` to `{to}`")]
    IllegalPhase { deployment: DeploymentId, from: Phase, to: Phase },
    /// The database was made by a newer Plimsoll.
    #[error(
        "the database {database} was made by a newer Plimsoll (it has the migration `{migration}`, which this version \
         does not know); start that version again, or restore a backup made before it"
    )]
    Newer { database: String, migration: String },
    /// The database can't be reached, read or written now; `hint` says what to do.
    #[error("the database is unavailable: {reason}; {hint}")]
    Unavailable { reason: String, hint: &'static str },
    /// A row can't be read back as what it was written as.
    #[error("the database holds something unreadable: {what}: {why}; restore a backup")]
    Corrupt { what: String, why: String },
    /// A statement failed in a way that nobody foresaw: a bug.
    #[error("a database statement failed: {0}")]
    Internal(String),
}

/// The rule that a write would have broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Constraint {
    /// The id is taken; `what` is the kind of row.
    Id { what: &'static str },
    /// An app of this name exists.
    AppName { name: String },
    /// The app still has environments.
    EnvironmentsLeft { app: String },
    /// The app has an environment of this name.
    EnvironmentName { name: String },
    /// The environment still serves or is being deployed to; it holds what is named here.
    EnvironmentBusy { by: DeploymentId },
    /// Another deployment holds the environment, or none does.
    NotActing { deployment: DeploymentId, acting: Option<DeploymentId> },
    /// The release serves, or may have to serve again.
    ReleaseInUse,
    /// A saga's next record was expected to have another number.
    SagaSequence { expected: u64, actual: u64 },
    /// The saga has finished.
    SagaFinished,
    /// Another instance has the port.
    Port { port: u16 },
    /// The same certificate is there.
    Certificate,
    /// A token with this hash exists.
    TokenHash,
    /// A person with this address exists.
    UserEmail { email: String },
    /// The caller has used this idempotency key.
    IdempotencyKey,
    /// The database to be filled holds something of ours.
    NotEmpty { database: String },
    /// Another data folder has the host's name.
    HostName { host: String },
    /// The key file is not that of the host named here.
    HostKey { host: String },
    /// A row that this one refers to is missing, or rows refer to the one to be deleted.
    Reference,
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Constraint::Id { what } => write!(f, "the id of the {what} is taken"),
            Constraint::AppName { name } => write!(f, "an app named `{name}` exists already"),
            Constraint::EnvironmentsLeft { app } => {
                write!(f, "the app `{app}` still has environments")
            }
            Constraint::EnvironmentName { name } => {
                write!(f, "the app has an environment named `{name}` already")
            }
            Constraint::EnvironmentBusy { by } => {
                write!(f, "the environment is in use by deployment {by}")
            }
            Constraint::NotActing { deployment, acting: Some(acting) } => {
                write!(f, "deployment {deployment} may not act on the environment: {acting} holds it")
            }
            Constraint::NotActing { deployment, acting: None } => {
                write!(f, "deployment {deployment} may not act on the environment: it has not claimed it")
            }
            Constraint::ReleaseInUse => f.write_str("the release is in use"),
            Constraint::SagaSequence { expected, actual } => {
                write!(f, "the saga's next record is number {actual}, not {expected}")
            }
            Constraint::SagaFinished => f.write_str("the saga has finished"),
            Constraint::Port { port } => write!(f, "port {port} belongs to another instance"),
            Constraint::Certificate => write!(f, "the certificate is there already"),
            Constraint::TokenHash => f.write_str("this token exists already"),
            Constraint::UserEmail { email } => write!(f, "a person with the address `{email}` exists already"),
            Constraint::IdempotencyKey => f.write_str("the idempotency key was used already"),
            Constraint::NotEmpty { database } => write!(f, "the database {database} is not empty"),
            Constraint::HostName { host } => write!(f, "another data folder is the host `{host}` of this database"),
            Constraint::HostKey { host } => write!(f, "the key file is not the one of the host `{host}`"),
            Constraint::Reference => f.write_str("a row that it refers to is missing, or others refer to it"),
        }
    }
}

impl StoreError {
    pub(crate) fn not_found(kind: &str, which: impl fmt::Display) -> Self {
        Self::NotFound { what: format!("{kind} `{which}`") }
    }

    pub(crate) fn corrupt(what: impl fmt::Display, why: impl fmt::Display) -> Self {
        Self::Corrupt { what: what.to_string(), why: why.to_string() }
    }

    /// The same with `context` in front of the reason, when it is one of the database as a whole.
    pub(crate) fn of_database(self, context: impl fmt::Display) -> Self {
        match self {
            Self::Unavailable { reason, hint } => Self::Unavailable { reason: format!("{context}: {reason}"), hint },
            Self::Internal(text) => Self::Internal(format!("{context}: {text}")),
            other => other,
        }
    }
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        if let Some(SqlErr::ForeignKeyConstraintViolation(_)) = error.sql_err() {
            return Self::Conflict(Constraint::Reference);
        }
        match &error {
            DbErr::Exec(RuntimeErr::SqlxError(e))
            | DbErr::Query(RuntimeErr::SqlxError(e))
            | DbErr::Conn(RuntimeErr::SqlxError(e)) => e.as_ref().into(),
            DbErr::ConnectionAcquire(ConnAcquireErr::Timeout) => {
                unavailable(error, "it is overloaded or gone; look at its log")
            }
            DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed) => {
                unavailable("it was closed", "the server is stopping")
            }
            _ => Self::Internal(error.to_string()),
        }
    }
}

impl From<&sqlx::Error> for StoreError {
    fn from(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(e) => match (e.code(), e.try_downcast_ref::<sqlx::sqlite::SqliteError>()) {
                (Some(code), Some(_)) => of_sqlite(&code, e.message()),
                (Some(code), None) => of_postgres(&code, e.message()),
                (None, _) => Self::Internal(e.message().to_owned()),
            },
            sqlx::Error::Io(e) => unavailable(e, "check that the database server runs and can be reached"),
            sqlx::Error::Tls(e) => {
                unavailable(e, "check the certificate, or `sslmode` and `sslrootcert` in the database URL")
            }
            sqlx::Error::Configuration(e) => unavailable(e, "correct the database URL"),
            sqlx::Error::PoolTimedOut => unavailable(error, "it is overloaded or gone; look at its log"),
            sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => unavailable(error, "the server is stopping"),
            _ => Self::Internal(error.to_string()),
        }
    }
}

impl From<&rusqlite::Error> for StoreError {
    fn from(error: &rusqlite::Error) -> Self {
        match error.sqlite_error() {
            Some(e) => of_sqlite(&e.extended_code.to_string(), &error.to_string()),
            None => Self::Internal(error.to_string()),
        }
    }
}

fn unavailable(reason: impl fmt::Display, hint: &'static str) -> StoreError {
    StoreError::Unavailable { reason: reason.to_string(), hint }
}

/// By primary result code, <https://www.sqlite.org/rescode.html>; `code` is the extended one, which has it in its low byte.
fn of_sqlite(code: &str, message: &str) -> StoreError {
    let hint = match code.parse::<u32>().map(|code| code & 0xff) {
        Ok(5 | 6) => "another process holds the file; stop it",
        Ok(3 | 8 | 23) => "make the file and its folder writable for the user that Plimsoll runs as",
        Ok(10) => "the disk or the file system reported an error; look at the system's log",
        Ok(11) => "the file is damaged; restore a backup",
        Ok(13) => "the disk is full; free some space and try again",
        Ok(14) => "check that the folder exists and that the user that Plimsoll runs as may write to it",
        Ok(26) => "the file is not a SQLite database; name another file",
        _ => return StoreError::Internal(format!("{message} (SQLite {code})")),
    };
    unavailable(message, hint)
}

/// By SQLSTATE, <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn of_postgres(code: &str, message: &str) -> StoreError {
    let hint = match code {
        "53100" => "the disk of the database server is full; free some space there",
        "53300" => "the database server has too many connections; raise `max_connections` or stop other clients",
        "25006" => "the database server is read-only; connect to the primary one",
        "28P01" | "28000" => "check the user and the password in the database URL",
        "3D000" => "create the database, or correct its name in the database URL",
        "42501" => "grant the user the right to create and change tables",
        "55P03" => "another Plimsoll server has been writing for too long; stop it",
        "25P03" | "25P04" => {
            "this server stood still for too long in the middle of a write, which was undone; try again"
        }
        _ if code.starts_with("08") || code.starts_with("57P") || code.starts_with("53") => {
            "check that the database server runs, and look at its log"
        }
        _ => return StoreError::Internal(format!("{message} (SQLSTATE {code})")),
    };
    unavailable(message, hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_and_a_read_only_file_say_what_to_do() {
        for (error, words) in [
            (of_sqlite("13", "database or disk is full"), "free some space"),
            (of_sqlite("1032", "attempt to write a readonly database"), "writable"),
            (of_sqlite("522", "disk I/O error"), "file system"),
            (of_postgres("53100", "could not extend file"), "free some space"),
            (of_postgres("25006", "cannot execute INSERT in a read-only transaction"), "read-only"),
            (of_postgres("57P01", "terminating connection due to administrator command"), "runs"),
        ] {
            assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
            assert!(error.to_string().contains(words), "{error}");
        }
        assert!(matches!(of_sqlite("1", "no such table"), StoreError::Internal(_)));
        assert!(matches!(of_postgres("42P01", "no such table"), StoreError::Internal(_)));
    }
}
