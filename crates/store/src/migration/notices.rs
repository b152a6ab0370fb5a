//! Channels, messages to them, how far the leader has read the event log for them, and what people muted and have seen.

use sea_orm::DbErr;
use sea_orm::sea_query::{Alias, ForeignKeyAction, Table};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use super::schema::{Columns, index, key, refers, unique};

pub(super) struct Notices;

impl MigrationName for Notices {
    fn name(&self) -> &str {
        "m0024_notices"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Notices {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        channels(manager).await?;
        deliveries(manager).await?;
        cursor(manager).await?;
        mutes(manager).await?;
        marks(manager).await
    }
}

async fn channels(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let mut table = Table::create();
    table.table(Alias::new("channels"));
    table.col(c.text("id"));
    // Of all apps and the server, when null.
    table.col(c.text_or_null("app_id"));
    table.col(c.text("kind"));
    table.col(c.text("name"));
    table.col(c.text("settings"));
    // Each channel has a data key of its own, wrapped by the key file's.
    table.col(c.bytes("wrapped"));
    table.col(c.bytes("sealed"));
    table.col(c.text("topics"));
    table.col(c.text("environments"));
    table.col(c.flag("enabled"));
    table.col(c.long_or_null("failing_since"));
    table.col(c.text("created_by"));
    table.col(c.long("created_at"));
    table.primary_key(&mut key(&["id"]));
    table.foreign_key(&mut refers("channels", "app_id", "apps", ForeignKeyAction::Cascade));
    manager.create_table(table).await?;
    manager.create_index(index("channels", &["app_id"])).await
}

async fn deliveries(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let mut table = Table::create();
    table.table(Alias::new("deliveries"));
    table.col(c.text("id"));
    table.col(c.text("channel_id"));
    table.col(c.long("first_event"));
    table.col(c.long("last_event"));
    table.col(c.int("count"));
    table.col(c.text("group_key"));
    table.col(c.text("title"));
    table.col(c.text("state"));
    table.col(c.int("attempts"));
    table.col(c.long("due_at"));
    table.col(c.int_or_null("status"));
    table.col(c.text_or_null("error"));
    table.col(c.long("created_at"));
    table.col(c.long_or_null("done_at"));
    table.primary_key(&mut key(&["id"]));
    table.foreign_key(&mut refers("deliveries", "channel_id", "channels", ForeignKeyAction::Cascade));
    manager.create_table(table).await?;
    manager.create_index(index("deliveries", &["state", "due_at"])).await?;
    manager.create_index(index("deliveries", &["channel_id", "created_at"])).await?;
    // An event that is read again makes no second message.
    manager.create_index(unique("deliveries", &["channel_id", "first_event", "group_key"])).await
}

async fn cursor(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let mut table = Table::create();
    table.table(Alias::new("notice_cursor"));
    table.col(c.int("id"));
    table.col(c.long("cursor"));
    table.primary_key(&mut key(&["id"]));
    manager.create_table(table).await
}

async fn mutes(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let mut table = Table::create();
    table.table(Alias::new("mutes"));
    table.col(c.text("user_id"));
    table.col(c.text("app_id"));
    table.col(c.long_or_null("until"));
    table.primary_key(&mut key(&["user_id", "app_id"]));
    table.foreign_key(&mut refers("mutes", "user_id", "users", ForeignKeyAction::Cascade));
    table.foreign_key(&mut refers("mutes", "app_id", "apps", ForeignKeyAction::Cascade));
    manager.create_table(table).await?;
    manager.create_index(index("mutes", &["app_id"])).await
}

async fn marks(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let mut table = Table::create();
    table.table(Alias::new("inbox_marks"));
    table.col(c.text("user_id"));
    table.col(c.long("seen_cursor"));
    table.primary_key(&mut key(&["user_id"]));
    table.foreign_key(&mut refers("inbox_marks", "user_id", "users", ForeignKeyAction::Cascade));
    manager.create_table(table).await
}
