//! Plans: what deployments would do, kept for a while to be carried out.

use sea_orm::DbErr;
use sea_orm::sea_query::{Alias, ForeignKeyAction, Table};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use super::schema::{Columns, index, key, refers, unique};

pub(super) struct Plans;

impl MigrationName for Plans {
    fn name(&self) -> &str {
        "m0012_plans"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Plans {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let c = Columns::of(manager);
        let mut table = Table::create();
        table.table(Alias::new("plans"));
        table.col(c.text("id"));
        table.col(c.text("digest"));
        table.col(c.text("environment_id"));
        table.col(c.text("app_id"));
        table.col(c.text("body"));
        table.col(c.text("created_by"));
        table.col(c.long("created_at"));
        table.col(c.long("expires_at"));
        table.primary_key(&mut key(&["id"]));
        table.foreign_key(&mut refers("plans", "environment_id", "environments", ForeignKeyAction::Cascade));
        manager.create_table(table).await?;
        manager.create_index(unique("plans", &["digest"])).await?;
        manager.create_index(index("plans", &["environment_id", "id"])).await?;
        manager.create_index(index("plans", &["app_id", "id"])).await?;
        manager.create_index(index("plans", &["expires_at"])).await
    }
}
