//! The first tables.

use sea_orm::DbErr;
use sea_orm::sea_query::{Alias, ForeignKeyAction, Table};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use super::schema::{Columns, index, key, refers, unique};

pub(super) struct First;

impl MigrationName for First {
    fn name(&self) -> &str {
        "m0001_first"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for First {
    // SQLite can do it too, and would otherwise keep half a migration that failed.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        apps(manager).await?;
        releases(manager).await?;
        environments(manager).await?;
        deployments(manager).await?;
        activations(manager).await?;
        variables(manager).await?;
        data_keys(manager).await?;
        sagas(manager).await?;
        saga_records(manager).await?;
        leases(manager).await?;
        events(manager).await?;
        instances(manager).await?;
        tokens(manager).await?;
        idempotency(manager).await?;
        Ok(())
    }
}

async fn apps(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let mut table = Table::create();
    table.table(Alias::new("apps"));
    table.col(c.text("id"));
    table.col(c.text("name"));
    table.col(c.text_or_null("source"));
    table.col(c.long("last_release"));
    table.col(c.long("created_at"));
    table.primary_key(&mut key(&["id"]));
    manager.create_table(table).await?;
    manager.create_index(unique("apps", &["name"])).await
}

async fn releases(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let mut table = Table::create();
    table.table(Alias::new("releases"));
    table.col(c.text("id"));
    table.col(c.text("app_id"));
    table.col(c.long("number"));
    table.col(c.text("digest"));
    table.col(c.text_or_null("commit"));
    table.col(c.text("spec"));
    table.col(c.long("size"));
    table.col(c.long("files"));
    table.col(c.text("tags"));
    table.col(c.text("metadata"));
    table.col(c.bytes("snapshot"));
    table.col(c.long("created_at"));
    table.primary_key(&mut key(&["id"]));
    table.foreign_key(&mut refers("releases", "app_id", "apps", ForeignKeyAction::Cascade));
    manager.create_table(table).await?;
    manager.create_index(unique("releases", &["app_id", "number"])).await?;
    manager.create_index(unique("releases", &["app_id", "digest"])).await
}

async fn environments(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let mut table = Table::create();
    table.table(Alias::new("environments"));
    table.col(c.text("id"));
    table.col(c.text("app_id"));
    table.col(c.text("app"));
    table.col(c.text("name"));
    table.col(c.long("generation"));
    table.col(c.text_or_null("acting"));
    table.col(c.text_or_null("active_deployment"));
    table.col(c.long("active_generation"));
    table.col(c.text_or_null("active_release"));
    table.col(c.long("created_at"));
    table.primary_key(&mut key(&["id"]));
    table.foreign_key(&mut refers("environments", "app_id", "apps", ForeignKeyAction::Cascade));
    table.foreign_key(&mut refers("environments", "active_release", "releases", ForeignKeyAction::NoAction));
    manager.create_table(table).await?;
    manager.create_index(unique("environments", &["app_id", "name"])).await?;
    manager.create_index(index("environments", &["active_release"])).await
}

async fn deployments(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let mut table = Table::create();
    table.table(Alias::new("deployments"));
    table.col(c.text("id"));
    table.col(c.text("app_id"));
    table.col(c.text("environment_id"));
    table.col(c.text("app"));
    table.col(c.text("environment"));
    table.col(c.text("kind"));
    table.col(c.long("generation"));
    table.col(c.text("phase"));
    table.col(c.int("progress"));
    table.col(c.text_or_null("source"));
    table.col(c.text_or_null("release_id"));
    table.col(c.long_or_null("release_number"));
    table.col(c.text("metadata"));
    table.col(c.text("phases"));
    table.col(c.text_or_null("failure"));
    table.col(c.flag("cancelling"));
    table.col(c.text_or_null("stuck"));
    table.col(c.text("requested_by"));
    table.col(c.long("created_at"));
    table.col(c.long("updated_at"));
    table.col(c.long_or_null("finished_at"));
    table.primary_key(&mut key(&["id"]));
    table.foreign_key(&mut refers("deployments", "app_id", "apps", ForeignKeyAction::Cascade));
    table.foreign_key(&mut refers("deployments", "environment_id", "environments", ForeignKeyAction::Cascade));
    table.foreign_key(&mut refers("deployments", "release_id", "releases", ForeignKeyAction::SetNull));
    manager.create_table(table).await?;
    manager.create_index(index("deployments", &["app_id", "id"])).await?;
    manager.create_index(unique("deployments", &["environment_id", "generation"])).await?;
    manager.create_index(index("deployments", &["environment_id", "id"])).await?;
    manager.create_index(index("deployments", &["phase", "id"])).await?;
    manager.create_index(index("deployments", &["release_id"])).await
}

async fn activations(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let mut table = Table::create();
    table.table(Alias::new("activations"));
    table.col(c.text("environment_id"));
    table.col(c.long("generation"));
    table.col(c.text("deployment_id"));
    table.col(c.text("release_id"));
    table.col(c.flag("taken_back"));
    table.primary_key(&mut key(&["environment_id", "generation"]));
    table.foreign_key(&mut refers("activations", "environment_id", "environments", ForeignKeyAction::Cascade));
    table.foreign_key(&mut refers("activations", "deployment_id", "deployments", ForeignKeyAction::Cascade));
    table.foreign_key(&mut refers("activations", "release_id", "releases", ForeignKeyAction::Cascade));
    manager.create_table(table).await?;
    manager.create_index(index("activations", &["deployment_id"])).await?;
    manager.create_index(index("activations", &["release_id"])).await
}

async fn variables(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let mut table = Table::create();
    table.table(Alias::new("variables"));
    table.col(c.text("environment_id"));
    table.col(c.text("name"));
    table.col(c.bytes("sealed"));
    table.primary_key(&mut key(&["environment_id", "name"]));
    table.foreign_key(&mut refers("variables", "environment_id", "environments", ForeignKeyAction::Cascade));
    manager.create_table(table).await
}

async fn data_keys(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let mut table = Table::create();
    table.table(Alias::new("data_keys"));
    table.col(c.text("environment_id"));
    table.col(c.bytes("wrapped"));
    table.primary_key(&mut key(&["environment_id"]));
    table.foreign_key(&mut refers("data_keys", "environment_id", "environments", ForeignKeyAction::Cascade));
    manager.create_table(table).await
}

async fn sagas(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let mut table = Table::create();
    table.table(Alias::new("sagas"));
    table.col(c.text("id"));
    table.col(c.text("name"));
    table.col(c.long("version"));
    table.col(c.long("fence"));
    table.col(c.long("seq"));
    table.col(c.flag("finished"));
    table.col(c.flag("cancel_requested"));
    table.primary_key(&mut key(&["id"]));
    manager.create_table(table).await?;
    manager.create_index(index("sagas", &["finished", "id"])).await
}

async fn saga_records(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let mut table = Table::create();
    table.table(Alias::new("saga_records"));
    table.col(c.text("saga_id"));
    table.col(c.long("seq"));
    table.col(c.text("record"));
    table.primary_key(&mut key(&["saga_id", "seq"]));
    table.foreign_key(&mut refers("saga_records", "saga_id", "sagas", ForeignKeyAction::Cascade));
    manager.create_table(table).await
}

async fn leases(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let mut table = Table::create();
    table.table(Alias::new("leases"));
    table.col(c.text("name"));
    table.col(c.text("holder"));
    table.col(c.long("fence"));
    table.primary_key(&mut key(&["name"]));
    manager.create_table(table).await
}

async fn events(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let mut table = Table::create();
    table.table(Alias::new("events"));
    table.col(c.serial("cursor"));
    table.col(c.long("at"));
    table.col(c.text_or_null("app"));
    table.col(c.text_or_null("environment"));
    table.col(c.text_or_null("deployment_id"));
    table.col(c.text("kind"));
    table.col(c.text("body"));
    manager.create_table(table).await?;
    manager.create_index(index("events", &["app", "environment", "cursor"])).await?;
    manager.create_index(index("events", &["app", "cursor"])).await?;
    manager.create_index(index("events", &["deployment_id", "cursor"])).await
}

async fn instances(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let mut table = Table::create();
    table.table(Alias::new("instances"));
    table.col(c.text("name"));
    table.col(c.text("environment_id"));
    table.col(c.text("deployment_id"));
    table.col(c.text("release_id"));
    table.col(c.long("generation"));
    table.col(c.text("component"));
    table.col(c.long("index"));
    table.col(c.int_or_null("port"));
    table.col(c.flag("retired"));
    table.primary_key(&mut key(&["name"]));
    table.foreign_key(&mut refers("instances", "environment_id", "environments", ForeignKeyAction::Cascade));
    table.foreign_key(&mut refers("instances", "deployment_id", "deployments", ForeignKeyAction::Cascade));
    table.foreign_key(&mut refers("instances", "release_id", "releases", ForeignKeyAction::NoAction));
    manager.create_table(table).await?;
    manager.create_index(unique("instances", &["port"])).await?;
    manager.create_index(index("instances", &["environment_id"])).await?;
    manager.create_index(index("instances", &["deployment_id"])).await?;
    manager.create_index(index("instances", &["release_id"])).await
}

async fn tokens(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let mut table = Table::create();
    table.table(Alias::new("tokens"));
    table.col(c.text("id"));
    table.col(c.text("name"));
    table.col(c.text("prefix"));
    table.col(c.text("hash"));
    table.col(c.flag("local"));
    table.col(c.long("created_at"));
    table.col(c.long_or_null("last_used_at"));
    table.col(c.flag("revoked"));
    table.primary_key(&mut key(&["id"]));
    manager.create_table(table).await?;
    manager.create_index(unique("tokens", &["hash"])).await
}

async fn idempotency(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let mut table = Table::create();
    table.table(Alias::new("idempotency"));
    table.col(c.text("token_id"));
    table.col(c.text("key"));
    table.col(c.text("operation"));
    table.col(c.text("request_digest"));
    table.col(c.int("status"));
    table.col(c.text("response"));
    table.col(c.long("created_at"));
    table.primary_key(&mut key(&["token_id", "key"]));
    table.foreign_key(&mut refers("idempotency", "token_id", "tokens", ForeignKeyAction::Cascade));
    manager.create_table(table).await?;
    manager.create_index(index("idempotency", &["created_at"])).await
}
