//! Many rows as the parameters of one statement.

use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement, Value};

use crate::StoreError;

/// Rows in one statement at most: with four columns each, well below what SQLite takes.
const LARGEST: usize = 256;

/// Parts whose lengths are powers of two. So there are few different statements, and the database has them all prepared.
pub(crate) fn parts<T>(mut all: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let length = if all.len() < LARGEST { 1 << all.len().checked_ilog2()? } else { LARGEST };
        let (part, rest) = all.split_at(length);
        all = rest;
        Some(part)
    })
}

/// Parameters of a statement, numbered from 1 as they are added.
pub(crate) struct Parameters {
    backend: DbBackend,
    values: Vec<Value>,
}

impl Parameters {
    pub(crate) fn of(connection: &impl ConnectionTrait) -> Self {
        Self { backend: connection.get_database_backend(), values: Vec::new() }
    }

    /// For SQLite.
    pub(crate) fn of_sqlite() -> Self {
        Self { backend: DbBackend::Sqlite, values: Vec::new() }
    }

    /// Its place in the statement.
    pub(crate) fn add(&mut self, value: impl Into<Value>) -> String {
        let value = value.into();
        // PostgreSQL has no other way to know what a list is made of.
        let kind = match &value {
            Value::BigInt(_) => "bigint",
            Value::Bool(_) => "boolean",
            _ => "text",
        };
        self.values.push(value);
        match self.backend {
            DbBackend::Postgres => format!("${}::{kind}", self.values.len()),
            _ => format!("?{}", self.values.len()),
        }
    }

    /// `VALUES (…), (…)`, a row for each.
    pub(crate) fn rows<const N: usize>(&mut self, rows: impl IntoIterator<Item = [Value; N]>) -> String {
        let mut sql = String::from("VALUES ");
        for (n, row) in rows.into_iter().enumerate() {
            sql.push_str(if n == 0 { "(" } else { ", (" });
            for (n, value) in row.into_iter().enumerate() {
                if n > 0 {
                    sql.push_str(", ");
                }
                sql.push_str(&self.add(value));
            }
            sql.push(')');
        }
        sql
    }

    /// In the order of their places.
    pub(crate) fn values(self) -> Vec<Value> {
        self.values
    }

    /// Returns how many rows were changed.
    pub(crate) async fn execute(self, connection: &impl ConnectionTrait, sql: String) -> Result<u64, StoreError> {
        let statement = Statement::from_sql_and_values(self.backend, sql, self.values);
        Ok(connection.execute_raw(statement).await?.rows_affected())
    }

    pub(crate) async fn query(
        self,
        connection: &impl ConnectionTrait,
        sql: String,
    ) -> Result<Vec<QueryResult>, StoreError> {
        let statement = Statement::from_sql_and_values(self.backend, sql, self.values);
        Ok(connection.query_all_raw(statement).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_powers_of_two_and_make_up_the_whole() {
        for count in [0, 1, 2, 3, 255, 256, 257, 1000] {
            let all: Vec<usize> = (0..count).collect();
            assert!(parts(&all).all(|part| part.len().is_power_of_two() && part.len() <= LARGEST), "{count}");
            assert_eq!(parts(&all).flatten().copied().collect::<Vec<_>>(), all);
        }
    }
}
