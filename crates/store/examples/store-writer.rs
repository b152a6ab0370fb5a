//! Writes to a store until it is killed: the crash test's victim.
//!
//! `STORE_URL=sqlite:/tmp/x.db store-writer write` commits an app with an environment and an event again and
//! again, and prints the number of apps after each commit. `store-writer open` opens the store and leaves.

use std::io::Write;

use domain::event::EventKind;
use domain::id::{Id, Kind};
use store::apps::App;
use store::environments::Environment;
use store::{Store, apps, environments, events};

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let store = Store::open(&std::env::var("STORE_URL")?.parse()?).await?;
    if std::env::args().nth(1).as_deref() == Some("open") {
        return Ok(());
    }
    let mut count = apps::list(&store, None, u32::MAX.into()).await?.len() as u64;
    loop {
        write_one(&store, count).await?;
        count += 1;
        writeln!(std::io::stdout(), "{count}")?;
    }
}

async fn write_one(store: &Store, n: u64) -> Result<(), Failure> {
    let created_at = chrono::DateTime::UNIX_EPOCH;
    let app = App {
        id: id(n),
        name: format!("app-{n}").parse()?,
        source: None,
        created_at,
        concurrency: domain::queue::CONCURRENCY,
    };
    let environment = Environment {
        id: id(n),
        app_id: app.id.clone(),
        app: app.name.clone(),
        name: "production".parse()?,
        generation: 0,
        acting: None,
        active_deployment: None,
        active_generation: 0,
        active_release: None,
        created_at,
        host: "here".to_owned(),
        running: None,
        supersede: Default::default(),
    };
    let tx = store.write().await?;
    apps::insert(&tx, &app).await?;
    environments::insert(&tx, &environment).await?;
    events::insert(&tx, Some(&app.name), Some(&environment.name), None, &EventKind::AppCreated, created_at).await?;
    Ok(tx.commit().await?)
}

fn id<K: Kind>(n: u64) -> Id<K> {
    Id::from_ulid(ulid::Ulid::from_parts(n, n.into()))
}
