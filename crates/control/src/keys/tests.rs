//! Rotations of a real folder that holds something of all that is sealed: whole, stopped half-way, refused.
#![allow(clippy::unwrap_used)]

use chrono::Utc;
use domain::channel::{ChannelKind, Encryption};
use domain::{AppId, CertificateId, ChannelId, EnvironmentId, UserId};
use operations::mail::NewMailServer;
use store::certificates::Certificate;
use store::environments::Environment;
use store::hosts::Host;
use store::users::User;
use store::{Constraint, DatabaseUrl, StoreError};
use ulid::Ulid;

use super::*;
use crate::notices::{Secrets, open_mail, seal, seal_mail};

struct World {
    dir: tempfile::TempDir,
    layout: Layout,
    environment: EnvironmentId,
    user: UserId,
    /// A variable.
    sealed: Vec<u8>,
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::prepare(&dir.path().join("data")).unwrap();
        let vault = Vault::open(&layout.key(), true).unwrap();
        let environment = EnvironmentId::from_ulid(Ulid::generate());
        let (key, wrapped) = vault.new_data_key(environment.as_str()).unwrap();
        let sealed = key.seal("PARROT", b"secret").unwrap();
        let user = UserId::from_ulid(Ulid::generate());
        let world = Self { dir, layout, environment, user, sealed };

        let store = world.store().await;
        crate::tokens::first(&store, &audit::keys(&vault)).await.unwrap().unwrap();
        let tx = store.write().await.unwrap();
        world.fill(&tx, &vault).await;
        store::data_keys::set(&tx, &world.environment, &wrapped).await.unwrap();
        tx.commit().await.unwrap();
        store.close().await;
        world
    }

    async fn fill(&self, tx: &Tx, vault: &Vault) {
        let now = store::time::micros(Utc::now());
        let app = store::apps::App {
            id: AppId::from_ulid(Ulid::generate()),
            name: "shop".parse().unwrap(),
            source: None,
            created_at: now,
            concurrency: domain::queue::CONCURRENCY,
        };
        store::apps::insert(tx, &app).await.unwrap();
        let environment = Environment {
            id: self.environment.clone(),
            app_id: app.id.clone(),
            app: app.name.clone(),
            name: "production".parse().unwrap(),
            generation: 0,
            acting: None,
            active_deployment: None,
            active_generation: 0,
            active_release: None,
            created_at: now,
            host: "one".to_owned(),
            running: None,
            supersede: Default::default(),
        };
        store::environments::insert(tx, &environment).await.unwrap();
        for (name, folder) in [("one", "here"), ("two", "elsewhere")] {
            let host = Host {
                name: name.to_owned(),
                folder_id: folder.to_owned(),
                key_fingerprint: vault.fingerprint(),
                created_at: now,
            };
            store::hosts::register(tx, &host).await.unwrap();
        }
        std::fs::write(self.layout.host(), "here").unwrap();

        let id = CertificateId::from_ulid(Ulid::generate());
        let (wrapped, sealed) = crate::certificates::seal(vault, &id, "PRIVATE KEY").unwrap();
        let certificate = Certificate {
            id,
            names: vec!["shop.example.org".to_owned()],
            issuer: "Issuer".to_owned(),
            fingerprint: "f".repeat(64),
            not_before: now,
            not_after: now,
            default: true,
            chain: "CERTIFICATE".to_owned(),
            wrapped,
            sealed,
            created_at: now,
        };
        store::certificates::insert(tx, &certificate).await.unwrap();

        let id = ChannelId::from_ulid(Ulid::generate());
        let (wrapped, sealed) = seal(vault, id.as_str(), &Secrets::default()).unwrap();
        let channel = Channel {
            id,
            app: None,
            kind: ChannelKind::Slack,
            name: "team".to_owned(),
            settings: Default::default(),
            wrapped,
            sealed,
            topics: Default::default(),
            environments: Vec::new(),
            enabled: true,
            failing_since: None,
            created_by: "ann".to_owned(),
            created_at: now,
        };
        store::channels::insert(tx, &channel).await.unwrap();

        let mail = NewMailServer {
            host: "mail.example.org".into(),
            port: 465,
            encryption: Encryption::Tls,
            from: "plimsoll@example.org".into(),
            user: Some("plimsoll".into()),
            password: Some("hunter2".to_owned().into()),
        };
        let mail = seal_mail(vault, mail).unwrap();
        settings::set(tx, None, settings::MAIL, Some(&mail)).await.unwrap();

        let kept = Kept {
            name: "Example".into(),
            issuer: "https://id.example.org".into(),
            client_id: "plimsoll".into(),
            client_secret: Kept::seal(vault, "https://id.example.org", "plimsoll", "s3cret").unwrap(),
            scopes: Vec::new(),
            link_by_email: false,
        };
        Kept::set(tx, Some(&kept)).await.unwrap();

        let user = User {
            id: self.user.clone(),
            email: "ann@example.org".parse().unwrap(),
            name: "Ann".to_owned(),
            password: None,
            password_changed_at: None,
            disabled: false,
            everywhere: None,
            grants_version: 1,
            preferences: json!({}),
            created_at: now,
            created_by: "ann".to_owned(),
            last_sign_in_at: None,
        };
        store::users::insert(tx, &user).await.unwrap();
        let sealed = vault.second_factor_keys().seal(self.user.as_str(), b"shared").unwrap();
        assert!(store::totp::begin(tx, &self.user, &sealed, now).await.unwrap());
    }

    async fn store(&self) -> Store {
        Store::open(&DatabaseUrl::sqlite(self.layout.database())).await.unwrap()
    }

    fn vault(&self) -> Vault {
        Vault::open(&self.layout.key(), false).unwrap()
    }

    fn file(&self) -> String {
        std::fs::read_to_string(self.layout.key()).unwrap()
    }

    async fn rotate(&self) -> Result<Rotated, Error> {
        rotate(RotateOptions { data: self.dir.path().join("data"), database: None }).await
    }

    /// Everything opens with the first line of the key file alone.
    async fn assert_under_the_first(&self) {
        let whole = self.file();
        let first = whole.lines().next().unwrap();
        let vault = Vault::from_text(first, &self.layout.key()).unwrap();
        let store = self.store().await;
        let wrapped = store::data_keys::find(&store, &self.environment).await.unwrap().unwrap();
        let key = vault.unwrap(self.environment.as_str(), &wrapped).unwrap();
        assert_eq!(key.open("PARROT", &self.sealed).unwrap().as_slice(), b"secret");
        for certificate in store::certificates::list(&store).await.unwrap() {
            vault.unwrap(certificate.id.as_str(), &certificate.wrapped).unwrap();
        }
        for channel in store::channels::list(&store).await.unwrap() {
            assert!(Secrets::open(&vault, &channel).is_ok());
        }
        let mail = settings::find::<StoredMail>(&store, None, settings::MAIL).await.unwrap().unwrap();
        assert!(open_mail(&vault, mail).is_ok());
        let kept = Kept::find(&store).await.unwrap().unwrap();
        assert!(kept.reseal(&vault).unwrap().is_none());
        let factor = store::totp::find(&store, &self.user).await.unwrap().unwrap();
        assert_eq!(vault.second_factor_keys().open(self.user.as_str(), &factor.sealed).unwrap().as_slice(), b"shared");
        assert!(
            store::hosts::list(&store).await.unwrap().iter().all(|host| host.key_fingerprint == vault.fingerprint())
        );
        let report = store::audit::verify(&store, &audit::keys(&self.vault()), None).await.unwrap().unwrap();
        assert_eq!(report.unchecked, 0);
        let last = store::audit::list(&store, &Default::default(), None, 1).await.unwrap().remove(0);
        let keys = audit::keys(&vault);
        assert_eq!((last.draft.operation.as_str(), last.key.as_str()), ("keys.rotate", keys[0].id()));
        store.close().await;
    }
}

#[tokio::test]
async fn everything_is_put_under_a_new_key_as_often_as_one_likes() {
    let world = World::new().await;
    for keys in 2..4 {
        let before = world.file();
        let rotated = world.rotate().await.unwrap();
        assert!(world.file().ends_with(&before) && world.file().lines().count() == keys);
        assert_eq!((rotated.resumed, rotated.data_keys, rotated.secrets, rotated.keys), (false, 4, 2, keys));
        assert_eq!(rotated.hosts, ["two"]);
        world.assert_under_the_first().await;
    }
}

#[tokio::test]
async fn what_was_stopped_half_way_is_ended_without_a_further_key() {
    let world = World::new().await;
    // As kill -9 leaves it between the file and the database.
    world.vault().renew(&world.layout.key()).unwrap();
    let between = world.file();
    let store = world.store().await;
    let tx = store.write().await.unwrap();
    let host = Host {
        name: "one".to_owned(),
        folder_id: "here".to_owned(),
        key_fingerprint: world.vault().fingerprint(),
        created_at: Utc::now(),
    };
    let refused = store::hosts::register(&tx, &host).await.unwrap_err();
    assert!(matches!(refused, StoreError::Conflict(Constraint::HostKey { .. })), "a server starts: {refused}");
    drop(tx);
    store.close().await;

    let rotated = world.rotate().await.unwrap();
    assert_eq!((rotated.resumed, rotated.data_keys, rotated.secrets, rotated.keys), (true, 4, 2, 2));
    assert_eq!(world.file(), between);
    world.assert_under_the_first().await;
    assert!(!world.rotate().await.unwrap().resumed);
    assert_eq!(world.file().lines().count(), 3);
}

#[tokio::test]
async fn a_rotation_that_would_lose_something_changes_nothing() {
    let world = World::new().await;
    let before = world.file();
    {
        let _server = lock_folder(&world.layout, Kind::Postgres).unwrap();
        let error = world.rotate().await.unwrap_err();
        assert!(error.status == 409 && error.hint.unwrap().contains("stop all servers first"));
    }
    let other = world.dir.path().join("other.key");
    Vault::open(&other, true).unwrap();
    std::fs::copy(&other, world.layout.key()).unwrap();
    let error = world.rotate().await.unwrap_err();
    assert!(error.detail.contains("not the one that the host"), "{error}");
    assert_eq!(world.file().lines().count(), 1);
    std::fs::write(world.layout.key(), &before).unwrap();

    let store = world.store().await;
    let tx = store.write().await.unwrap();
    store::totp::reseal(&tx, &world.user, b"damaged by somebody").await.unwrap();
    tx.commit().await.unwrap();
    store.close().await;
    let error = world.rotate().await.unwrap_err();
    assert!(error.detail.contains("the second factor of"), "{error}");
    assert_eq!(world.file(), before);
    let missing = RotateOptions { data: world.dir.path().join("nothing"), database: None };
    assert_eq!(rotate(missing).await.unwrap_err().status, 404);
}
