//! People, what they may do, how they come in, and who owns what was without an owner.

use sea_orm::sea_query::{Alias, ForeignKeyAction, Table};
use sea_orm::{ConnectionTrait, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use super::schema::{Columns, index, key, refers, unique};

pub(super) struct People;

impl MigrationName for People {
    fn name(&self) -> &str {
        "m0020_people"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for People {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        users(manager).await?;
        memberships(manager).await?;
        invitations(manager).await?;
        sessions(manager).await?;
        sign_ins(manager).await?;
        owners(manager).await?;
        so_far(manager).await?;
        idempotency(manager).await
    }
}

async fn users(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let mut table = Table::create();
    table.table(Alias::new("users"));
    table.col(c.text("id"));
    table.col(c.text("email"));
    table.col(c.text("name"));
    table.col(c.text_or_null("password"));
    table.col(c.long_or_null("password_changed_at"));
    table.col(c.flag("disabled"));
    table.col(c.text_or_null("everywhere"));
    table.col(c.long("grants_version"));
    table.col(c.text("preferences"));
    table.col(c.long("created_at"));
    table.col(c.text("created_by"));
    table.col(c.long_or_null("last_sign_in_at"));
    table.primary_key(&mut key(&["id"]));
    manager.create_table(table).await?;
    manager.create_index(unique("users", &["email"])).await
}

async fn memberships(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let mut table = Table::create();
    table.table(Alias::new("memberships"));
    table.col(c.text("user_id"));
    table.col(c.text("app_id"));
    table.col(c.text("role"));
    table.col(c.text("granted_by"));
    table.col(c.long("granted_at"));
    table.primary_key(&mut key(&["user_id", "app_id"]));
    table.foreign_key(&mut refers("memberships", "user_id", "users", ForeignKeyAction::Cascade));
    table.foreign_key(&mut refers("memberships", "app_id", "apps", ForeignKeyAction::Cascade));
    manager.create_table(table).await?;
    manager.create_index(index("memberships", &["app_id"])).await
}

async fn invitations(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let mut table = Table::create();
    table.table(Alias::new("invitations"));
    table.col(c.text("id"));
    table.col(c.text("hash"));
    // Whoever has the link may say an address, when null.
    table.col(c.text_or_null("email"));
    table.col(c.text_or_null("everywhere"));
    table.col(c.text_or_null("app_id"));
    table.col(c.text_or_null("role"));
    table.col(c.text("created_by"));
    table.col(c.long("created_at"));
    table.col(c.long("expires_at"));
    table.col(c.text_or_null("accepted_by"));
    table.col(c.long_or_null("accepted_at"));
    table.primary_key(&mut key(&["id"]));
    table.foreign_key(&mut refers("invitations", "app_id", "apps", ForeignKeyAction::Cascade));
    manager.create_table(table).await?;
    manager.create_index(unique("invitations", &["hash"])).await?;
    manager.create_index(index("invitations", &["app_id"])).await
}

async fn sessions(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let mut table = Table::create();
    table.table(Alias::new("sessions"));
    table.col(c.text("id"));
    table.col(c.text("user_id"));
    table.col(c.text("hash"));
    table.col(c.text("via"));
    table.col(c.long("created_at"));
    table.col(c.long("seen_at"));
    table.col(c.long("ends_at"));
    table.col(c.long("confirmed_at"));
    table.col(c.text("address"));
    table.col(c.text("agent"));
    table.col(c.long_or_null("ended_at"));
    table.col(c.text_or_null("ended_why"));
    table.primary_key(&mut key(&["id"]));
    table.foreign_key(&mut refers("sessions", "user_id", "users", ForeignKeyAction::Cascade));
    manager.create_table(table).await?;
    manager.create_index(unique("sessions", &["hash"])).await?;
    manager.create_index(index("sessions", &["user_id", "created_at"])).await?;
    manager.create_index(index("sessions", &["ends_at"])).await
}

/// Keys are digests: the tables tell neither who tried nor from where.
async fn sign_ins(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let mut table = Table::create();
    table.table(Alias::new("sign_in_failures"));
    table.col(c.text("key"));
    table.col(c.int("failures"));
    table.col(c.long("since"));
    table.col(c.long_or_null("locked_until"));
    table.primary_key(&mut key(&["key"]));
    manager.create_table(table).await?;
    manager.create_index(index("sign_in_failures", &["since"])).await?;

    let mut table = Table::create();
    table.table(Alias::new("known_places"));
    table.col(c.text("key"));
    table.col(c.long("seen_at"));
    table.primary_key(&mut key(&["key"]));
    manager.create_table(table).await?;
    manager.create_index(index("known_places", &["seen_at"])).await
}

async fn owners(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let added = [
        // Of a person, or null. Not a foreign key: SQLite can't add one to a table that is there.
        ("tokens", c.text_or_null("user_id")),
        ("tokens", c.text("grants").default("{}").to_owned()),
        ("tokens", c.text("created_by").default("").to_owned()),
        ("uploads", c.text("owner").default("").to_owned()),
        ("schedules", c.text("owner").default("").to_owned()),
    ];
    // SQLite adds one column in a statement.
    for (table, column) in added {
        let mut alter = Table::alter();
        alter.table(Alias::new(table)).add_column(column);
        manager.alter_table(alter).await?;
    }
    manager.create_index(index("tokens", &["user_id"])).await
}

/// A token could do everything or only look, and an upload was its by name.
async fn so_far(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let connection = manager.get_connection();
    for sql in [
        r#"UPDATE tokens SET grants = '{"everywhere":"viewer"}' WHERE read_only = TRUE"#,
        r#"UPDATE tokens SET grants = '{"everywhere":"owner"}' WHERE read_only = FALSE"#,
        "UPDATE uploads SET owner = COALESCE((SELECT MAX(id) FROM tokens WHERE name = requested_by AND NOT revoked), '')",
    ] {
        connection.execute_unprepared(sql).await?;
    }
    Ok(())
}

/// A key belongs to whoever acts: no token needs to be there. As SQLite can't drop a reference, the table is made anew; what was
/// answered stays.
async fn idempotency(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let c = Columns::of(manager);
    let mut table = Table::create();
    table.table(Alias::new("idempotency_of_all"));
    table.col(c.text("owner"));
    table.col(c.text("key"));
    table.col(c.text("operation"));
    table.col(c.text("request_digest"));
    table.col(c.int("status"));
    table.col(c.text("response"));
    table.col(c.long("created_at"));
    table.primary_key(&mut key(&["owner", "key"]));
    manager.create_table(table).await?;
    manager
        .get_connection()
        .execute_unprepared(
            "INSERT INTO idempotency_of_all (owner, key, operation, request_digest, status, response, created_at) \
             SELECT token_id, key, operation, request_digest, status, response, created_at FROM idempotency",
        )
        .await?;
    let mut old = Table::drop();
    old.table(Alias::new("idempotency"));
    manager.drop_table(old).await?;
    let mut name = Table::rename();
    name.table(Alias::new("idempotency_of_all"), Alias::new("idempotency"));
    manager.rename_table(name).await?;
    manager.create_index(index("idempotency", &["created_at"])).await
}
