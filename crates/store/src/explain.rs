//! How SQLite goes about a query: for tests of what has an index.

#![allow(clippy::unwrap_used)]

use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, QueryTrait, Select, Statement};

use crate::Store;
use crate::session::sealed::Connected;

/// Step by step.
pub(crate) async fn plan<E: EntityTrait>(store: &Store, query: Select<E>) -> String {
    let query = query.build(DbBackend::Sqlite);
    let (sql, values) = (format!("EXPLAIN QUERY PLAN {}", query.sql), query.values.unwrap());
    let explain = Statement::from_sql_and_values(DbBackend::Sqlite, sql, values);
    let rows = store.connection().query_all_raw(explain).await.unwrap();
    let steps: Vec<String> = rows.iter().map(|row| row.try_get("", "detail").unwrap()).collect();
    steps.join("; ")
}
