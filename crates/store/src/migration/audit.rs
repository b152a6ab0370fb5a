//! The audit log, which only grows.

use sea_orm::sea_query::{Alias, Table};
use sea_orm::{ConnectionTrait, DbBackend, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use super::schema::{Columns, index, key};

pub(super) struct Audit;

impl MigrationName for Audit {
    fn name(&self) -> &str {
        "m0021_audit"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Audit {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        records(manager).await?;
        head(manager).await?;
        kept(manager).await
    }
}

/// They refer to nothing: a record outlives what it tells of.
async fn records(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let mut table = Table::create();
    table.table(Alias::new("audit"));
    // Not counted by the database, which leaves gaps.
    table.col(c.long("seq"));
    table.col(c.long("at"));
    table.col(c.text("actor"));
    table.col(c.text("actor_kind"));
    table.col(c.text("actor_name"));
    table.col(c.text_or_null("token"));
    table.col(c.text("via"));
    table.col(c.text_or_null("address"));
    table.col(c.text_or_null("request"));
    table.col(c.text("operation"));
    table.col(c.text_or_null("app_id"));
    table.col(c.text_or_null("app"));
    table.col(c.text_or_null("environment"));
    table.col(c.text_or_null("target"));
    table.col(c.text("outcome"));
    table.col(c.long_or_null("of"));
    table.col(c.text("detail"));
    table.col(c.text("prev"));
    table.col(c.text("hash"));
    table.col(c.text("mac"));
    table.col(c.text("key"));
    table.primary_key(&mut key(&["seq"]));
    manager.create_table(table).await?;
    for columns in [&["app_id", "seq"][..], &["actor", "seq"], &["operation", "seq"], &["at"], &["target"]] {
        manager.create_index(index("audit", columns)).await?;
    }
    Ok(())
}

async fn head(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let mut table = Table::create();
    table.table(Alias::new("audit_head"));
    table.col(c.int("id"));
    table.col(c.long("seq"));
    table.col(c.text("hash"));
    table.col(c.long_or_null("broken"));
    table.col(c.text("key"));
    table.col(c.text("mac"));
    table.primary_key(&mut key(&["id"]));
    manager.create_table(table).await
}

/// Nobody changes or removes a record by mistake, ours included. Whoever may change tables can take this away: that is what the
/// hashes and MACs are for.
async fn kept(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let connection = manager.get_connection();
    let why = "the audit log is append-only";
    let statements = match connection.get_database_backend() {
        DbBackend::Postgres => vec![
            format!(
                "CREATE FUNCTION audit_is_kept() RETURNS trigger LANGUAGE plpgsql AS \
                 $$ BEGIN RAISE EXCEPTION '{why}'; END $$"
            ),
            "CREATE TRIGGER audit_is_kept BEFORE UPDATE OR DELETE ON audit \
             FOR EACH ROW EXECUTE FUNCTION audit_is_kept()"
                .to_owned(),
            "CREATE TRIGGER audit_is_not_emptied BEFORE TRUNCATE ON audit \
             FOR EACH STATEMENT EXECUTE FUNCTION audit_is_kept()"
                .to_owned(),
            "CREATE TRIGGER audit_head_is_kept BEFORE DELETE ON audit_head \
             FOR EACH ROW EXECUTE FUNCTION audit_is_kept()"
                .to_owned(),
            "CREATE TRIGGER audit_head_is_not_emptied BEFORE TRUNCATE ON audit_head \
             FOR EACH STATEMENT EXECUTE FUNCTION audit_is_kept()"
                .to_owned(),
        ],
        _ => [
            ("audit_is_not_changed", "UPDATE ON audit"),
            ("audit_is_kept", "DELETE ON audit"),
            ("audit_head_is_kept", "DELETE ON audit_head"),
        ]
        .into_iter()
        .map(|(name, event)| format!("CREATE TRIGGER {name} BEFORE {event} BEGIN SELECT RAISE(ABORT, '{why}'); END"))
        .collect(),
    };
    for sql in statements {
        connection.execute_unprepared(&sql).await?;
    }
    Ok(())
}
