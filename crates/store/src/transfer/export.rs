//! The way out: a look at a database from outside of its server, which changes nothing.

use chrono::{DateTime, Utc};
use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, IsolationLevel, Statement,
    TransactionOptions, TransactionTrait,
};

use super::columns::{self, Column};
use super::{Row, TABLES};
use crate::store::read_only;
use crate::{DatabaseUrl, Kind, StoreError, migration, time};

/// Rows that are read at once.
const BATCH: usize = 500;

/// All tables as they were at one moment; the server goes on writing meanwhile.
pub struct Snapshot {
    transaction: DatabaseTransaction,
    migrations: Vec<String>,
    kind: Kind,
}

impl Snapshot {
    /// Never migrates: it may be the database of a running server of an older version.
    ///
    /// # Errors
    /// `Unavailable` when it can't be read, `NotFound` when it has no tables of ours, `Newer` when this version does not
    /// know all of them.
    pub async fn open(url: &DatabaseUrl) -> Result<Self, StoreError> {
        let opened = async {
            let connection = read_only(url).await?;
            let options = match url.kind() {
                Kind::Postgres => TransactionOptions {
                    isolation_level: Some(IsolationLevel::RepeatableRead),
                    access_mode: Some(AccessMode::ReadOnly),
                    ..TransactionOptions::default()
                },
                // Sees what was committed when it first reads, whatever is committed later.
                Kind::Sqlite => TransactionOptions::default(),
            };
            let transaction = connection.begin_with_options(options).await?;
            let migrations = migrations(&transaction).await?;
            if migrations.is_empty() {
                return Err(StoreError::not_found("database of Plimsoll", url));
            }
            if let Some(newer) = migration::unknown(&migrations) {
                return Err(StoreError::Newer { database: url.to_string(), migration: newer.to_owned() });
            }
            Ok(Self { transaction, migrations, kind: url.kind() })
        };
        opened.await.map_err(|e: StoreError| e.of_database(url))
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Names of the migrations that made the tables, oldest first.
    pub fn migrations(&self) -> &[String] {
        &self.migrations
    }

    /// What a data folder is called among the hosts; `None` when no server has begun on it with this database.
    pub async fn host_of(&self, folder_id: &str) -> Result<Option<String>, StoreError> {
        if columns::of(&self.transaction, "hosts").await?.is_empty() {
            return Ok(None);
        }
        let backend = self.transaction.get_database_backend();
        let sql = match backend {
            DbBackend::Postgres => "SELECT name FROM hosts WHERE folder_id = $1",
            _ => "SELECT name FROM hosts WHERE folder_id = ?",
        };
        let statement = Statement::from_sql_and_values(backend, sql, [folder_id.into()]);
        let row = self.transaction.query_one_raw(statement).await?;
        Ok(row.map(|row| row.try_get::<String>("", "name")).transpose()?)
    }

    /// Hands all rows of a table of [`TABLES`] to `each`, in batches; how many there were. A table that the database
    /// does not have yet has none.
    pub async fn rows<E>(&self, table: &str, mut each: impl FnMut(Vec<Row>) -> Result<(), E>) -> Result<u64, E>
    where
        E: From<StoreError>,
    {
        if !TABLES.contains(&table) {
            return Err(StoreError::not_found("table", table).into());
        }
        let columns = columns::of(&self.transaction, table).await?;
        if columns.is_empty() {
            return Ok(0);
        }
        let mut reader = Reader::new(&self.transaction, table, columns);
        let mut count = 0;
        loop {
            let rows = reader.next().await?;
            if rows.is_empty() {
                return Ok(count);
            }
            count += rows.len() as u64;
            each(rows)?;
        }
    }
}

/// Reads one table from its beginning to its end.
struct Reader<'a> {
    transaction: &'a DatabaseTransaction,
    table: &'a str,
    columns: Vec<Column>,
    /// SQLite: number of the last row.
    after: i64,
    /// PostgreSQL: the cursor is there.
    declared: bool,
}

impl<'a> Reader<'a> {
    fn new(transaction: &'a DatabaseTransaction, table: &'a str, columns: Vec<Column>) -> Self {
        Self { transaction, table, columns, after: i64::MIN, declared: false }
    }

    async fn next(&mut self) -> Result<Vec<Row>, StoreError> {
        let names: Vec<String> = self.columns.iter().map(|c| format!("\"{}\"", c.name)).collect();
        let (names, table) = (names.join(", "), self.table);
        let statement = match self.transaction.get_database_backend() {
            DbBackend::Postgres => {
                if !self.declared {
                    self.declared = true;
                    let declare = format!("DECLARE rows_{table} NO SCROLL CURSOR FOR SELECT {names} FROM \"{table}\"");
                    self.transaction.execute_unprepared(&declare).await?;
                }
                Statement::from_string(DbBackend::Postgres, format!("FETCH {BATCH} FROM rows_{table}"))
            }
            // The same statement must not be one that is open for as long as the caller takes.
            _ => Statement::from_sql_and_values(
                DbBackend::Sqlite,
                format!(
                    "SELECT rowid AS \"rowid of it\", {names} FROM \"{table}\" WHERE rowid > ? ORDER BY rowid LIMIT {BATCH}"
                ),
                [self.after.into()],
            ),
        };
        let found = self.transaction.query_all_raw(statement).await?;
        let mut rows = Vec::with_capacity(found.len());
        for row in &found {
            if self.transaction.get_database_backend() == DbBackend::Sqlite {
                self.after = row.try_get("", "rowid of it")?;
            }
            let values = self.columns.iter().map(|c| Ok((c.name.clone(), c.read(row)?)));
            rows.push(values.collect::<Result<Row, StoreError>>()?);
        }
        Ok(rows)
    }
}

/// What can be told of a database without changing it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    pub kind: Kind,
    /// Of the database's own program.
    pub version: String,
    /// Names and values that matter for durability.
    pub settings: Vec<(&'static str, String)>,
    /// What the database's own check found to be wrong; PostgreSQL has none that is cheap.
    pub damage: Option<String>,
    /// Migrations that were applied, oldest first; empty before the first start.
    pub migrations: Vec<String>,
    /// The first migration that this version does not know: a newer one made it.
    pub newer: Option<String>,
    /// The database's clock, if it has one of its own.
    pub now: Option<DateTime<Utc>>,
    /// Of the newest event.
    pub last_event: Option<DateTime<Utc>>,
}

/// Looks at a database. `Unavailable` when it can't be read.
pub async fn survey(url: &DatabaseUrl) -> Result<Survey, StoreError> {
    let looked = async {
        let connection = read_only(url).await?;
        let survey = match url.kind() {
            Kind::Sqlite => sqlite(&connection).await,
            Kind::Postgres => postgres(&connection).await,
        };
        let _ = connection.close().await;
        survey
    };
    looked.await.map_err(|e: StoreError| e.of_database(url))
}

async fn sqlite(connection: &DatabaseConnection) -> Result<Survey, StoreError> {
    let damage = text(connection, "PRAGMA quick_check(1)").await?;
    let settings = vec![("journal_mode", text(connection, "PRAGMA journal_mode").await?)];
    let version = text(connection, "SELECT sqlite_version()").await?;
    finish(connection, Kind::Sqlite, version, settings, Some(damage).filter(|found| found != "ok"), None).await
}

async fn postgres(connection: &DatabaseConnection) -> Result<Survey, StoreError> {
    let mut settings = Vec::new();
    for name in ["fsync", "synchronous_commit", "full_page_writes"] {
        settings.push((name, text(connection, &format!("SELECT current_setting('{name}')")).await?));
    }
    let version = text(connection, "SELECT current_setting('server_version')").await?;
    let now = text(connection, "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint::text").await?;
    let now = now.parse().ok().and_then(|micros| time::from_db(micros).ok());
    finish(connection, Kind::Postgres, version, settings, None, now).await
}

async fn finish(
    connection: &DatabaseConnection,
    kind: Kind,
    version: String,
    settings: Vec<(&'static str, String)>,
    damage: Option<String>,
    now: Option<DateTime<Utc>>,
) -> Result<Survey, StoreError> {
    let migrations = migrations(connection).await?;
    let newer = migration::unknown(&migrations).map(str::to_owned);
    let mut last_event = None;
    if !columns::of(connection, "events").await?.is_empty() {
        let statement = Statement::from_string(connection.get_database_backend(), "SELECT max(at) AS at FROM events");
        let row = connection.query_one_raw(statement).await?;
        let at = row.map(|row| row.try_get::<Option<i64>>("", "at")).transpose()?.flatten();
        last_event = at.map(time::from_db).transpose()?;
    }
    Ok(Survey { kind, version, settings, damage, migrations, newer, now, last_event })
}

async fn text(connection: &DatabaseConnection, sql: &str) -> Result<String, StoreError> {
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    let row = connection.query_one_raw(statement).await?;
    Ok(row.map(|row| row.try_get_by_index::<String>(0)).transpose()?.unwrap_or_default())
}

/// Names of the migrations that were applied, oldest first; none in a database without our tables.
async fn migrations(connection: &impl ConnectionTrait) -> Result<Vec<String>, StoreError> {
    if !has_migrations(connection).await? {
        return Ok(Vec::new());
    }
    let backend = connection.get_database_backend();
    let statement = Statement::from_string(backend, "SELECT version FROM seaql_migrations ORDER BY version");
    let rows = connection.query_all_raw(statement).await?;
    Ok(rows.iter().map(|row| row.try_get("", "version")).collect::<Result<_, _>>()?)
}

/// Whether a table of migrations is there; a database of somebody else's has none.
pub(super) async fn has_migrations(connection: &impl ConnectionTrait) -> Result<bool, StoreError> {
    let backend = connection.get_database_backend();
    let sql = match backend {
        DbBackend::Postgres => {
            "SELECT 1 AS one FROM information_schema.tables \
             WHERE table_schema = current_schema() AND table_name = 'seaql_migrations'"
        }
        _ => "SELECT 1 AS one FROM sqlite_master WHERE type = 'table' AND name = 'seaql_migrations'",
    };
    Ok(connection.query_one_raw(Statement::from_string(backend, sql)).await?.is_some())
}
