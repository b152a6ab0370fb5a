//! Approvals: who is asked where, what they are asked, what they said; and what waits for it in the queue.

use sea_orm::DbErr;
use sea_orm::sea_query::{Alias, ForeignKeyAction, Table};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use super::schema::{Columns, index, key, refers, unique};

pub(super) struct Approvals;

impl MigrationName for Approvals {
    fn name(&self) -> &str {
        "m0023_approvals"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Approvals {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        policies(manager).await?;
        approvals(manager).await?;
        votes(manager).await?;
        let c = Columns::of(manager);
        let mut held = c.flag("held");
        held.default(false);
        manager.alter_table(Table::alter().table(Alias::new("queue")).add_column(held).to_owned()).await
    }
}

async fn policies(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let mut table = Table::create();
    table.table(Alias::new("approval_policies"));
    table.col(c.text("app_id"));
    // By name: an environment that is deleted and made anew is asked about all the same.
    table.col(c.text("environment"));
    table.col(c.int("required"));
    table.col(c.text("role"));
    table.col(c.flag("rollbacks"));
    table.col(c.flag("bypasses"));
    table.col(c.long("expires_seconds"));
    table.col(c.text("changed_by"));
    table.col(c.long("changed_at"));
    table.primary_key(&mut key(&["app_id", "environment"]));
    table.foreign_key(&mut refers("approval_policies", "app_id", "apps", ForeignKeyAction::Cascade));
    manager.create_table(table).await
}

/// They refer to nothing: a record outlives what it tells of.
async fn approvals(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let mut table = Table::create();
    table.table(Alias::new("approvals"));
    table.col(c.text("id"));
    table.col(c.text("kind"));
    table.col(c.text("deployment_id"));
    table.col(c.text("app_id"));
    table.col(c.text("app"));
    table.col(c.text("environment_id"));
    table.col(c.text("environment"));
    table.col(c.text("subject"));
    table.col(c.text("subject_note"));
    table.col(c.text("requester"));
    table.col(c.text_or_null("requester_person"));
    table.col(c.text("requester_name"));
    table.col(c.int("required"));
    table.col(c.text("role"));
    table.col(c.text("state"));
    table.col(c.text_or_null("why"));
    table.col(c.long("created_at"));
    table.col(c.long("expires_at"));
    table.col(c.long_or_null("decided_at"));
    table.primary_key(&mut key(&["id"]));
    manager.create_table(table).await?;
    manager.create_index(unique("approvals", &["deployment_id"])).await?;
    manager.create_index(index("approvals", &["state", "expires_at"])).await?;
    manager.create_index(index("approvals", &["app_id", "state", "id"])).await?;
    manager.create_index(index("approvals", &["environment_id", "state"])).await
}

/// A person who is removed has still said it.
async fn votes(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let mut table = Table::create();
    table.table(Alias::new("approval_votes"));
    table.col(c.text("approval_id"));
    table.col(c.text("user_id"));
    table.col(c.text("name"));
    table.col(c.text("verdict"));
    table.col(c.text_or_null("comment"));
    table.col(c.text("subject"));
    table.col(c.text("via"));
    table.col(c.long("at"));
    table.col(c.flag("counts"));
    table.primary_key(&mut key(&["approval_id", "user_id"]));
    table.foreign_key(&mut refers("approval_votes", "approval_id", "approvals", ForeignKeyAction::Cascade));
    manager.create_table(table).await
}
