//! Schedules of deployments, windows that hold them, and the records of those that went past a closed one.

use sea_orm::DbErr;
use sea_orm::sea_query::{Alias, ForeignKeyAction, Table};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use super::schema::{Columns, index, key, refers, unique};

pub(super) struct Schedules;

impl MigrationName for Schedules {
    fn name(&self) -> &str {
        "m0011_schedules"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Schedules {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        schedules(manager).await?;
        windows(manager).await?;
        bypasses(manager).await
    }
}

async fn schedules(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let mut table = Table::create();
    table.table(Alias::new("schedules"));
    table.col(c.text("id"));
    table.col(c.text("app_id"));
    table.col(c.text("environment_id"));
    table.col(c.text("app"));
    table.col(c.text("environment"));
    table.col(c.text("name"));
    table.col(c.text("cron"));
    table.col(c.text("missed"));
    table.col(c.flag("enabled"));
    table.col(c.text("template"));
    table.col(c.text("created_by"));
    table.col(c.long("created_at"));
    table.col(c.long_or_null("next_at"));
    table.col(c.long_or_null("last_planned_at"));
    table.col(c.text_or_null("last_run"));
    table.primary_key(&mut key(&["id"]));
    table.foreign_key(&mut refers("schedules", "app_id", "apps", ForeignKeyAction::Cascade));
    table.foreign_key(&mut refers("schedules", "environment_id", "environments", ForeignKeyAction::Cascade));
    manager.create_table(table).await?;
    manager.create_index(unique("schedules", &["app_id", "name"])).await?;
    manager.create_index(index("schedules", &["environment_id"])).await?;
    manager.create_index(index("schedules", &["next_at"])).await
}

async fn windows(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let mut table = Table::create();
    table.table(Alias::new("windows"));
    table.col(c.text("id"));
    // Of all apps, and of all environments, when null.
    table.col(c.text_or_null("app_id"));
    table.col(c.text_or_null("app"));
    table.col(c.text_or_null("environment"));
    table.col(c.text("rule"));
    table.col(c.long_or_null("ends_at"));
    table.col(c.text("created_by"));
    table.col(c.long("created_at"));
    table.primary_key(&mut key(&["id"]));
    table.foreign_key(&mut refers("windows", "app_id", "apps", ForeignKeyAction::Cascade));
    manager.create_table(table).await?;
    manager.create_index(index("windows", &["app_id"])).await?;
    manager.create_index(index("windows", &["ends_at"])).await
}

/// They refer to nothing: a record outlives what it tells of.
async fn bypasses(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let mut table = Table::create();
    table.table(Alias::new("bypasses"));
    table.col(c.text("id"));
    table.col(c.text("deployment_id"));
    table.col(c.text("app"));
    table.col(c.text("environment"));
    table.col(c.text_or_null("window_id"));
    table.col(c.text_or_null("rule"));
    table.col(c.text("reason"));
    table.col(c.text("requested_by"));
    table.col(c.text_or_null("approved_by"));
    table.col(c.long("at"));
    table.primary_key(&mut key(&["id"]));
    manager.create_table(table).await?;
    manager.create_index(unique("bypasses", &["deployment_id"])).await
}
