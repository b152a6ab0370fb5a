//! What columns a table has, and values of each type on their way to and from JSON.

use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement, Value};
use serde_json::{Value as Json, json};

use crate::StoreError;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Text,
    Long,
    Int,
    Flag,
    Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Type,
}

/// The columns of `table` in their order; none if there is no such table.
pub(super) async fn of(connection: &impl ConnectionTrait, table: &str) -> Result<Vec<Column>, StoreError> {
    let sql = match connection.get_database_backend() {
        DbBackend::Postgres => {
            "SELECT column_name::text AS name, data_type::text AS type FROM information_schema.columns \
             WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position"
        }
        _ => "SELECT name, type FROM pragma_table_info(?) ORDER BY cid",
    };
    let statement = Statement::from_sql_and_values(connection.get_database_backend(), sql, [table.into()]);
    let mut columns = Vec::new();
    for row in connection.query_all_raw(statement).await? {
        let (name, kind): (String, String) = (row.try_get("", "name")?, row.try_get("", "type")?);
        let kind = match kind.to_ascii_lowercase().as_str() {
            "text" => Type::Text,
            "bigint" => Type::Long,
            // What SQLite calls the key that it hands out itself has 64 bits, too.
            "integer" if connection.get_database_backend() == DbBackend::Sqlite => Type::Long,
            "integer" => Type::Int,
            "boolean" => Type::Flag,
            "blob" | "bytea" => Type::Bytes,
            other => return Err(StoreError::Internal(format!("{table}.{name} has the unknown type `{other}`"))),
        };
        columns.push(Column { name, kind });
    }
    Ok(columns)
}

impl Column {
    pub(super) fn read(&self, row: &QueryResult) -> Result<Json, StoreError> {
        let name = self.name.as_str();
        Ok(match self.kind {
            Type::Text => json!(row.try_get::<Option<String>>("", name)?),
            Type::Long => json!(row.try_get::<Option<i64>>("", name)?),
            Type::Int => json!(row.try_get::<Option<i32>>("", name)?),
            Type::Flag => json!(row.try_get::<Option<bool>>("", name)?),
            Type::Bytes => match row.try_get::<Option<Vec<u8>>>("", name)? {
                Some(bytes) => json!({ "hex": hex(&bytes) }),
                None => Json::Null,
            },
        })
    }

    /// `Corrupt` when it is no value of this column's type.
    pub(super) fn write(&self, table: &str, value: &Json) -> Result<Value, StoreError> {
        let wrong =
            || StoreError::corrupt(format!("{table}.{}", self.name), format!("its value is no {:?}", self.kind));
        Ok(match (self.kind, value) {
            (Type::Text, Json::Null) => Value::String(None),
            (Type::Long, Json::Null) => Value::BigInt(None),
            (Type::Int, Json::Null) => Value::Int(None),
            (Type::Flag, Json::Null) => Value::Bool(None),
            (Type::Bytes, Json::Null) => Value::Bytes(None),
            (Type::Text, Json::String(text)) => text.as_str().into(),
            (Type::Long, Json::Number(n)) => n.as_i64().ok_or_else(wrong)?.into(),
            (Type::Int, Json::Number(n)) => n.as_i64().and_then(|n| i32::try_from(n).ok()).ok_or_else(wrong)?.into(),
            (Type::Flag, Json::Bool(flag)) => (*flag).into(),
            (Type::Bytes, Json::Object(of)) => {
                of.get("hex").and_then(Json::as_str).and_then(unhex).ok_or_else(wrong)?.into()
            }
            _ => return Err(wrong()),
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect::<Option<_>>()?;
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    Some(pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_and_other_text_does_not() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(unhex(&hex(&all)).unwrap(), all);
        assert_eq!(unhex(""), Some(vec![]));
        for bad in ["a", "zz", "0é", "abc"] {
            assert_eq!(unhex(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_value_of_another_type_is_refused() {
        let column = |kind| Column { name: "c".to_owned(), kind };
        for (kind, value) in [
            (Type::Text, json!(1)),
            (Type::Long, json!("1")),
            (Type::Long, json!(1.5)),
            (Type::Int, json!(1_u64 << 40)),
            (Type::Flag, json!(0)),
            (Type::Bytes, json!("00")),
            (Type::Bytes, json!({ "hex": "0" })),
        ] {
            assert!(matches!(column(kind).write("t", &value), Err(StoreError::Corrupt { .. })), "{kind:?} {value}");
        }
    }
}
