//! Several servers on one database: who they are, what waits for them, and who drives what.

use sea_orm::sea_query::{Alias, ForeignKeyAction, Table};
use sea_orm::{ConnectionTrait, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use super::schema::{Columns, index, key, refers, unique};

pub(super) struct Cluster;

impl MigrationName for Cluster {
    fn name(&self) -> &str {
        "m0010_cluster"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Cluster {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        hosts(manager).await?;
        servers(manager).await?;
        queue(manager).await?;
        columns(manager).await?;
        under_way(manager).await
    }
}

async fn hosts(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let mut table = Table::create();
    table.table(Alias::new("hosts"));
    table.col(c.text("name"));
    table.col(c.text("folder_id"));
    table.col(c.text("key_fingerprint"));
    table.col(c.long("created_at"));
    table.primary_key(&mut key(&["name"]));
    manager.create_table(table).await?;
    manager.create_index(unique("hosts", &["folder_id"])).await
}

async fn servers(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let mut table = Table::create();
    table.table(Alias::new("servers"));
    table.col(c.text("id"));
    table.col(c.text("host"));
    table.col(c.long("pid"));
    table.col(c.long("process_start"));
    table.col(c.text("session"));
    table.col(c.text("url"));
    table.col(c.text("version"));
    table.col(c.long("started_at"));
    table.col(c.long("heartbeat"));
    table.col(c.long("lease_seconds"));
    table.col(c.flag("leaving"));
    table.primary_key(&mut key(&["id"]));
    manager.create_table(table).await?;
    manager.create_index(index("servers", &["host"])).await
}

async fn queue(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let mut table = Table::create();
    table.table(Alias::new("queue"));
    table.col(c.text("deployment_id"));
    table.col(c.text("app_id"));
    table.col(c.text("environment_id"));
    table.col(c.text("host"));
    table.col(c.text("priority"));
    table.col(c.long("rank"));
    table.col(c.long_or_null("not_before"));
    table.col(c.long("enqueued_at"));
    table.col(c.int("attempt"));
    table.primary_key(&mut key(&["deployment_id"]));
    table.foreign_key(&mut refers("queue", "deployment_id", "deployments", ForeignKeyAction::Cascade));
    table.foreign_key(&mut refers("queue", "environment_id", "environments", ForeignKeyAction::Cascade));
    table.foreign_key(&mut refers("queue", "app_id", "apps", ForeignKeyAction::Cascade));
    manager.create_table(table).await?;
    // From the head of one environment's queue to that of the next.
    manager.create_index(index("queue", &["host", "environment_id", "rank", "deployment_id"])).await?;
    manager.create_index(index("queue", &["host", "not_before"])).await?;
    manager.create_index(index("queue", &["rank", "deployment_id"])).await?;
    manager.create_index(index("queue", &["environment_id", "rank", "deployment_id"])).await?;
    manager.create_index(index("queue", &["app_id", "rank", "deployment_id"])).await
}

async fn columns(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let added = [
        ("environments", c.text("host").default("").to_owned()),
        ("environments", c.text_or_null("running")),
        ("environments", c.text("supersede").default("run_all").to_owned()),
        ("apps", c.long("concurrency").default(2).to_owned()),
        ("apps", c.long("last_started").default(0).to_owned()),
        ("sagas", c.text_or_null("owner")),
        ("sagas", c.text_or_null("cancel_by")),
        ("sagas", c.text_or_null("cancel_refused")),
        ("sagas", c.text_or_null("resume_by")),
    ];
    // SQLite adds one column in a statement.
    for (table, column) in added {
        let mut alter = Table::alter();
        alter.table(Alias::new(table)).add_column(column);
        manager.alter_table(alter).await?;
    }
    manager.create_index(index("environments", &["running"])).await?;
    manager.create_index(index("sagas", &["owner", "finished"])).await
}

/// What the version before had under way: who acts on an environment goes on, the others wait for it, as they did.
async fn under_way(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let connection = manager.get_connection();
    connection
        .execute_unprepared(
            "UPDATE environments SET running = acting \
             WHERE acting IN (SELECT id FROM sagas WHERE finished = FALSE)",
        )
        .await?;
    connection
        .execute_unprepared(
            "INSERT INTO queue (deployment_id, app_id, environment_id, host, priority, rank, enqueued_at, attempt) \
             SELECT d.id, d.app_id, d.environment_id, '', 'normal', d.created_at, d.created_at, 1 \
             FROM deployments d JOIN sagas s ON s.id = d.id JOIN environments e ON e.id = d.environment_id \
             WHERE s.finished = FALSE AND d.stuck IS NULL AND (e.running IS NULL OR e.running <> d.id)",
        )
        .await?;
    Ok(())
}
