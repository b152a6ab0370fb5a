//! Columns that mean the same on both databases.

use sea_orm::sea_query::{
    Alias, ColumnDef, ForeignKey, ForeignKeyAction, ForeignKeyCreateStatement, Index, IndexCreateStatement,
};
use sea_orm::{ConnectionTrait, DbBackend};
use sea_orm_migration::SchemaManager;

/// Makes column definitions for the database at hand.
pub(super) struct Columns {
    collation: &'static str,
}

impl Columns {
    pub(super) fn of(manager: &SchemaManager<'_>) -> Self {
        // Text is compared byte by byte, as Rust does it: a page that ends at a name must continue at the same one
        // on both databases, whatever the locale of the server.
        let collation = match manager.get_connection().get_database_backend() {
            DbBackend::Postgres => r#"COLLATE "C""#,
            _ => "COLLATE BINARY",
        };
        Self { collation }
    }

    pub(super) fn text(&self, name: &str) -> ColumnDef {
        let mut column = ColumnDef::new(Alias::new(name));
        column.text().not_null().extra(self.collation);
        column
    }

    pub(super) fn text_or_null(&self, name: &str) -> ColumnDef {
        let mut column = ColumnDef::new(Alias::new(name));
        column.text().null().extra(self.collation);
        column
    }

    /// 64 bits: counters, sizes, points in time.
    pub(super) fn long(&self, name: &str) -> ColumnDef {
        let mut column = ColumnDef::new(Alias::new(name));
        column.big_integer().not_null();
        column
    }

    pub(super) fn long_or_null(&self, name: &str) -> ColumnDef {
        let mut column = ColumnDef::new(Alias::new(name));
        column.big_integer().null();
        column
    }

    pub(super) fn int(&self, name: &str) -> ColumnDef {
        let mut column = ColumnDef::new(Alias::new(name));
        column.integer().not_null();
        column
    }

    pub(super) fn int_or_null(&self, name: &str) -> ColumnDef {
        let mut column = ColumnDef::new(Alias::new(name));
        column.integer().null();
        column
    }

    pub(super) fn flag(&self, name: &str) -> ColumnDef {
        let mut column = ColumnDef::new(Alias::new(name));
        column.boolean().not_null();
        column
    }

    pub(super) fn bytes(&self, name: &str) -> ColumnDef {
        let mut column = ColumnDef::new(Alias::new(name));
        column.blob().not_null();
        column
    }

    /// A number that grows with each row and is never given again, even after the newest row was deleted.
    pub(super) fn serial(&self, name: &str) -> ColumnDef {
        let mut column = ColumnDef::new(Alias::new(name));
        column.big_integer().not_null().auto_increment().primary_key();
        column
    }
}

/// `columns` as the primary key.
pub(super) fn key(columns: &[&str]) -> IndexCreateStatement {
    let mut index = Index::create();
    for column in columns {
        index.col(Alias::new(*column));
    }
    index.primary().to_owned()
}

/// `table.column` refers to `parent.id`.
pub(super) fn refers(
    table: &str,
    column: &str,
    parent: &str,
    on_delete: ForeignKeyAction,
) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .name(format!("{table}_{column}_fk"))
        .from(Alias::new(table), Alias::new(column))
        .to(Alias::new(parent), Alias::new("id"))
        .on_delete(on_delete)
        .to_owned()
}

/// An index named after what it covers.
pub(super) fn index(table: &str, columns: &[&str]) -> IndexCreateStatement {
    let mut index = Index::create();
    index.name(format!("{table}_{}", columns.join("_"))).table(Alias::new(table));
    for column in columns {
        index.col(Alias::new(*column));
    }
    index.to_owned()
}

/// The same, which allows each combination once; NULLs are different from each other.
pub(super) fn unique(table: &str, columns: &[&str]) -> IndexCreateStatement {
    index(table, columns).unique().to_owned()
}
