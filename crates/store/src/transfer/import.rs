//! The way in: all rows into an empty database, or none.

use std::collections::BTreeMap;
use std::fs::File;

use sea_orm::sea_query::{Alias, Query};
use sea_orm::{ConnectionTrait, DbBackend, Statement};

use super::columns::{self, Column};
use super::export::has_migrations;
use super::{Row, TABLES};
use crate::session::sealed::Connected;
use crate::{DatabaseUrl, Store, StoreError, Tx, migration};

/// Rows in one statement: SQLite takes 32,766 values, and no table has more than 40 columns.
const BATCH: usize = 500;

/// A database that is being filled. Dropped before [`Import::finish`] it is as empty as it was.
pub struct Import {
    tx: Tx,
    store: Store,
    columns: BTreeMap<&'static str, Vec<Column>>,
    _guard: Option<File>,
}

impl Import {
    /// Makes the tables in an empty database as they were after `migrations`, which must be the first ones of those that
    /// this version knows.
    ///
    /// # Errors
    /// `Newer` when this version does not know them, `Conflict` when the database holds something of ours already.
    pub async fn begin(url: &DatabaseUrl, migrations: &[String]) -> Result<Self, StoreError> {
        if let Some(newer) = migration::unknown(migrations) {
            return Err(StoreError::Newer { database: "of the backup".to_owned(), migration: newer.to_owned() });
        }
        let first = migration::names().into_iter().take(migrations.len());
        if !first.into_iter().all(|name| migrations.contains(&name)) {
            return Err(StoreError::corrupt("the list of migrations", "it has gaps"));
        }
        let begun = async {
            let (store, guard) = Store::connect(url).await?;
            let tx = store.write().await?;
            if has_migrations(tx.connection()).await? {
                return Err(StoreError::Conflict(crate::Constraint::NotEmpty { database: url.to_string() }));
            }
            // Never more than a handful.
            migration::run_to(&tx, u32::try_from(migrations.len()).ok()).await?;
            let mut columns = BTreeMap::new();
            for table in TABLES {
                columns.insert(table, columns::of(tx.connection(), table).await?);
            }
            Ok(Self { tx, store, columns, _guard: guard })
        };
        begun.await.map_err(|e: StoreError| e.of_database(url))
    }

    /// Adds rows to a table. Those that they refer to must be there: tables come in the order of [`TABLES`].
    pub async fn rows(&self, table: &str, rows: &[Row]) -> Result<(), StoreError> {
        let columns = self.columns.get(table).filter(|columns| !columns.is_empty());
        let Some(columns) = columns else {
            return Err(StoreError::corrupt(format!("the table `{table}`"), "this version has none of that name"));
        };
        for rows in rows.chunks(BATCH) {
            let mut insert = Query::insert();
            insert.into_table(Alias::new(table)).columns(columns.iter().map(|c| Alias::new(&c.name)));
            for row in rows {
                insert.values_panic(values(table, columns, row)?.into_iter().map(Into::into));
            }
            let statement = self.tx.connection().get_database_backend().build(&insert);
            self.tx.connection().execute_raw(statement).await?;
        }
        Ok(())
    }

    /// Brings the tables up to date and makes everything durable.
    pub async fn finish(self) -> Result<(), StoreError> {
        migration::run_to(&self.tx, None).await?;
        self.continue_counters().await?;
        self.tx.commit().await?;
        self.store.close().await;
        Ok(())
    }

    /// PostgreSQL counts on its own what was given out, and was not told of the rows.
    async fn continue_counters(&self) -> Result<(), StoreError> {
        let connection = self.tx.connection();
        if connection.get_database_backend() != DbBackend::Postgres {
            return Ok(());
        }
        let sql = "SELECT table_name::text AS t, column_name::text AS c FROM information_schema.columns \
                   WHERE table_schema = current_schema() AND (column_default LIKE 'nextval%' OR is_identity = 'YES')";
        let found = connection.query_all_raw(Statement::from_string(DbBackend::Postgres, sql)).await?;
        for row in found {
            let (table, column): (String, String) = (row.try_get("", "t")?, row.try_get("", "c")?);
            if TABLES.contains(&table.as_str()) {
                let sql = format!(
                    "SELECT setval(pg_get_serial_sequence('\"{table}\"', '{column}'), \
                     greatest(coalesce(max(\"{column}\"), 1), 1), max(\"{column}\") IS NOT NULL) FROM \"{table}\""
                );
                connection.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await?;
            }
        }
        Ok(())
    }
}

/// The row's values in the order of the columns: all of them, and no others.
fn values(table: &str, columns: &[Column], row: &Row) -> Result<Vec<sea_orm::Value>, StoreError> {
    if let Some(other) = row.keys().find(|name| !columns.iter().any(|c| c.name == **name)) {
        return Err(StoreError::corrupt(format!("{table}.{other}"), "there is no such column"));
    }
    let value = |column: &Column| match row.get(&column.name) {
        Some(value) => column.write(table, value),
        None => Err(StoreError::corrupt(format!("{table}.{}", column.name), "it is missing in a row")),
    };
    columns.iter().map(value).collect()
}
