//! Fresh databases.

use plimsoll_tests::postgres::Postgres;
use store::{DatabaseUrl, Kind, Store};
use tempfile::TempDir;

/// An empty database that goes with this value.
pub(crate) struct Database {
    pub(crate) url: String,
    pub(crate) kind: Kind,
    _dir: TempDir,
}

impl Database {
    pub(crate) fn fresh(kind: Kind) -> Database {
        let dir = tempfile::tempdir().unwrap();
        let url = match kind {
            Kind::Sqlite => format!("sqlite:{}", dir.path().join("plimsoll.db").display()),
            Kind::Postgres => Postgres::shared().create_database(),
        };
        Database { url, kind, _dir: dir }
    }

    pub(crate) fn url(&self) -> DatabaseUrl {
        self.url.parse().unwrap()
    }

    pub(crate) async fn open(&self) -> Store {
        store::Store::open(&self.url()).await.unwrap()
    }

    /// A connection past the store, to see and do what it does not offer.
    pub(crate) async fn raw(&self) -> sea_orm::DatabaseConnection {
        let url = self.url.replacen("sqlite:", "sqlite://", 1);
        sea_orm::Database::connect(url).await.unwrap()
    }
}
