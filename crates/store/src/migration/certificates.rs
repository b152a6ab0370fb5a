//! Certificates that the ingress shows.

use sea_orm::DbErr;
use sea_orm::sea_query::{Alias, Table};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use super::schema::{Columns, key, unique};

pub(super) struct Certificates;

impl MigrationName for Certificates {
    fn name(&self) -> &str {
        "m0002_certificates"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Certificates {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let c = Columns::of(manager);
        let mut table = Table::create();
        table.table(Alias::new("certificates"));
        table.col(c.text("id"));
        table.col(c.text("names"));
        table.col(c.text("issuer"));
        table.col(c.text("fingerprint"));
        table.col(c.long("not_before"));
        table.col(c.long("not_after"));
        table.col(c.flag("fallback"));
        table.col(c.text("chain"));
        table.col(c.bytes("wrapped"));
        table.col(c.bytes("sealed"));
        table.col(c.long("created_at"));
        table.primary_key(&mut key(&["id"]));
        manager.create_table(table).await?;
        manager.create_index(unique("certificates", &["fingerprint"])).await
    }
}
