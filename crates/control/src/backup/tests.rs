//! Backups of a real folder with a real database, and what happens to them.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use chrono::Utc;
use domain::AppId;
use domain::release::Digest;
use domain::spec::AppSpec;
use secrecy::SecretString;
use store::releases::NewRelease;
use store::{DatabaseUrl, Store};
use ulid::Ulid;

use super::*;
use crate::layout::Layout;
use crate::vault::Vault;

const PASSPHRASE: &str = "correct horse battery staple";

struct World {
    dir: tempfile::TempDir,
    app: AppId,
}

impl World {
    /// A data folder with an app, two releases and a certificate.
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let layout = Layout::prepare(&data).unwrap();
        Vault::open(&layout.key(), true).unwrap();
        let app = AppId::from_ulid(Ulid::generate());
        let world = Self { dir, app };
        let store = Store::open(&DatabaseUrl::sqlite(layout.database())).await.unwrap();
        let tx = store.write().await.unwrap();
        let row = store::apps::App {
            id: world.app.clone(),
            name: "shop".parse().unwrap(),
            source: None,
            created_at: store::time::micros(Utc::now()),
            concurrency: domain::queue::CONCURRENCY,
        };
        store::apps::insert(&tx, &row).await.unwrap();
        for digest in ["a", "b"] {
            store::releases::insert_or_get(&tx, &world.release(&digest.repeat(64))).await.unwrap();
        }
        tx.commit().await.unwrap();
        store.close().await;
        let files = layout.release(&world.app, &Digest("a".repeat(64)));
        std::fs::create_dir_all(files.join("bin/deep")).unwrap();
        std::fs::write(files.join("bin/run"), "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(files.join("bin/run"), std::fs::Permissions::from_mode(0o555)).unwrap();
        std::fs::write(files.join("large"), vec![7_u8; 3 << 20]).unwrap();
        symlink("bin/run", files.join("start")).unwrap();
        std::fs::set_permissions(files.join("bin"), std::fs::Permissions::from_mode(0o555)).unwrap();
        std::fs::create_dir_all(data.join(CERTIFICATES)).unwrap();
        std::fs::write(data.join(CERTIFICATES).join("shop.pem"), "PRIVATE KEY of the shop").unwrap();
        std::fs::write(layout.outputs().join("dep_1.ndjson"), "{}\n").unwrap();
        world
    }

    fn release(&self, digest: &str) -> NewRelease {
        NewRelease {
            id: domain::ReleaseId::from_ulid(Ulid::generate()),
            app_id: self.app.clone(),
            digest: Digest(digest.to_owned()),
            artifact: Digest(digest.to_owned()),
            promoted_from: None,
            commit: None,
            spec: AppSpec { builds: vec![], build_limits: Default::default(), components: vec![], smoke_tests: vec![] },
            size: 1,
            files: 1,
            tags: vec![],
            metadata: BTreeMap::new(),
            snapshot: vec![1, 2, 3],
            created_at: store::time::micros(Utc::now()),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn options(&self, file: &Path) -> CreateOptions {
        CreateOptions {
            data: self.path("data"),
            database: None,
            file: file.to_owned(),
            keys: Keys::Sealed(PASSPHRASE.into()),
            outputs: true,
        }
    }

    async fn backup(&self) -> PathBuf {
        let file = self.path("backup.tar.zst");
        create(self.options(&file)).await.unwrap();
        file
    }

    fn to(&self, file: &Path, data: &Path) -> RestoreOptions {
        let key = RestoreKey::Passphrase(PASSPHRASE.into());
        RestoreOptions { file: file.to_owned(), data: data.to_owned(), database: None, key }
    }

    /// Nothing but what the test itself made beside the folder.
    fn litter(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.dir.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with('.')).collect()
    }
}

#[tokio::test]
async fn a_folder_comes_back_as_it_was() {
    let world = World::new().await;
    let file = world.backup().await;
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(world.litter(), [] as [&str; 0]);
    let bytes = zstd::decode_all(std::fs::File::open(&file).unwrap()).unwrap();
    let key = std::fs::read(world.path("data/master.key")).unwrap();
    for secret in [&key[..], b"PRIVATE KEY"] {
        assert!(!bytes.windows(secret.len()).any(|w| w == secret), "a secret is in the backup in the open");
    }
    let manifest = verify(&file, Some(&PASSPHRASE.into())).unwrap();
    let kept: Vec<bool> = manifest.releases.iter().map(|r| r.kept).collect();
    assert_eq!((manifest.tables["apps"], kept), (1, vec![true, false]));

    let target = world.path("elsewhere/data");
    let restored = restore(world.to(&file, &target)).await.unwrap();
    assert!(restored.moved);
    let (old, new) = (world.path("data"), target);
    let diff = |name: &str| {
        let out = Command::new("diff").arg("-r").arg(old.join(name)).arg(new.join(name)).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
    };
    ["releases", "outputs", "master.key", CERTIFICATES].into_iter().for_each(diff);
    let release = new.join("releases").join(world.app.as_str()).join("a".repeat(64));
    let mode = |path: &str| std::fs::metadata(release.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("bin"), mode("bin/run")), (0o555, 0o555));
    assert_eq!(std::fs::read_link(release.join("start")).unwrap(), Path::new("bin/run"));
    let names: Vec<_> = std::fs::read_dir(&new).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!names.iter().any(|n| n == INCOMPLETE || n == ".restore"), "{names:?}");
    let store = Store::open(&DatabaseUrl::sqlite(new.join("plimsoll.db"))).await.unwrap();
    assert_eq!(store::releases::list(&store, &world.app, None, 10).await.unwrap().len(), 2);
    let event = store::events::list(&store, &Default::default(), 0, 10).await.unwrap().pop().unwrap();
    assert!(matches!(event.kind, domain::event::EventKind::ServerRestored { .. }), "{event:?}");
}

#[tokio::test]
async fn a_damaged_backup_is_refused_before_anything_is_written() {
    let world = World::new().await;
    let file = world.backup().await;
    let whole = std::fs::read(&file).unwrap();
    let damaged = world.path("damaged");
    let target = world.path("target");
    let check = |bytes: &[u8]| {
        std::fs::write(&damaged, bytes).unwrap();
        let error = verify(&damaged, None).unwrap_err();
        assert_eq!(error.status, 422, "{error}");
    };
    let content = zstd::decode_all(&whole[..]).unwrap();
    let mut harmless = 0;
    for n in 0..24 {
        let at = whole.len() * n / 24;
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        // Compressed zeros can be written in several ways: what unpacks to the same is not damaged.
        match zstd::decode_all(&flipped[..]) {
            Ok(same) if same == content => harmless += 1,
            _ => check(&flipped),
        }
        check(&whole[..at]);
    }
    assert!(harmless < 3, "{harmless} of 24 changed bytes change nothing");
    check(&whole[..whole.len() - 1]);
    check(b"no archive at all");
    let refused = restore(world.to(&damaged, &target)).await.unwrap_err();
    assert!(refused.detail.contains("can't be used"), "{refused}");
    assert!(!target.exists(), "nothing was begun");

    // Whole in itself, but not what was written: an entry more, or one that leads elsewhere.
    let rebuilt = |path: &str| {
        let mut writer = archive::Writer::new(std::fs::File::create(&damaged).unwrap()).unwrap();
        let manifest = serde_json::to_vec(&verify(&file, None).unwrap()).unwrap();
        writer.bytes("manifest.json", &manifest).unwrap();
        match writer.bytes(path, b"x") {
            Ok(()) => writer.finish().unwrap(),
            // Our own tar refuses to write it.
            Err(_) => return,
        }
        assert!(verify(&damaged, None).is_err(), "{path}");
    };
    rebuilt("../escape");
    rebuilt("/etc/escape");
}

#[tokio::test]
async fn wrong_passphrases_and_keys_are_told_and_change_nothing() {
    let world = World::new().await;
    let file = world.backup().await;
    let target = world.path("target");
    let wrong =
        RestoreOptions { key: RestoreKey::Passphrase("wrong horse battery".into()), ..world.to(&file, &target) };
    assert!(restore(wrong).await.unwrap_err().detail.contains("passphrase"));

    let bare = world.path("bare");
    create(CreateOptions { keys: Keys::LeftOut, ..world.options(&bare) }).await.unwrap();
    assert!(verify(&bare, Some(&SecretString::from(PASSPHRASE))).unwrap_err().detail.contains("no key file"));
    Vault::open(&world.path("other.key"), true).unwrap();
    let other = RestoreOptions { key: RestoreKey::File(world.path("other.key")), ..world.to(&bare, &target) };
    assert!(restore(other).await.unwrap_err().detail.contains("not the one"));
    assert!(!target.exists());
    let right = RestoreOptions { key: RestoreKey::File(world.path("data/master.key")), ..world.to(&bare, &target) };
    restore(right).await.unwrap();
    assert!(target.join("master.key").exists());
    // The key of then is in the file, behind a later one.
    let (later, rotated) = (world.path("later"), world.path("rotated.key"));
    std::fs::copy(world.path("data/master.key"), &rotated).unwrap();
    Vault::open(&rotated, false).unwrap().renew(&rotated).unwrap();
    restore(RestoreOptions { key: RestoreKey::File(rotated.clone()), ..world.to(&bare, &later) }).await.unwrap();
    assert_eq!(std::fs::read(later.join("master.key")).unwrap(), std::fs::read(&rotated).unwrap());
}

#[tokio::test]
async fn nothing_is_overwritten_and_what_was_killed_starts_over() {
    let world = World::new().await;
    let file = world.backup().await;
    let again = create(world.options(&file)).await.unwrap_err();
    assert!(again.detail.contains("exists already"), "{again}");
    let full = restore(world.to(&file, &world.path("data"))).await.unwrap_err();
    assert!(full.detail.contains("not empty"), "{full}");

    // As kill -9 leaves it, in the middle of a backup and of a restore.
    let second = world.path("second");
    std::fs::write(beside(&second, "partial"), vec![1; 100_000]).unwrap();
    std::fs::create_dir(beside(&second, "tables")).unwrap();
    std::fs::write(beside(&second, "tables").join("apps.ndjson"), "{").unwrap();
    create(world.options(&second)).await.unwrap();
    verify(&second, None).unwrap();
    assert_eq!(world.litter(), [] as [&str; 0]);

    let target = world.path("target");
    std::fs::create_dir_all(target.join("releases/app_x")).unwrap();
    std::fs::write(target.join("plimsoll.db"), "half").unwrap();
    std::fs::write(target.join(INCOMPLETE), "").unwrap();
    assert!(refuse_incomplete(&target).unwrap_err().detail.contains("did not end"));
    restore(world.to(&file, &target)).await.unwrap();
    refuse_incomplete(&target).unwrap();
    assert!(!target.join("releases/app_x").exists());
}

/// A disk of a few MiB. Mounting it takes root.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        let done = mount.args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(dir.path()).status().unwrap();
        assert!(done.success(), "mounting a small disk for this test takes root");
        Self(dir)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_leaves_nothing_half_done() {
    let world = World::new().await;
    // What doesn't shrink: more than the disk takes.
    let noise: Vec<u8> = (0..3 << 20).map(|_| rand::random()).collect();
    let release = world.path("data/releases").join(world.app.as_str()).join("a".repeat(64));
    std::fs::write(release.join("noise"), noise).unwrap();
    let disk = SmallDisk::mount();
    let error = create(world.options(&disk.0.path().join("backup"))).await.unwrap_err();
    assert!(
        error.to_string().contains("can't write") && error.hint.unwrap().contains("free some space"),
        "{}",
        error.detail
    );
    assert_eq!(std::fs::read_dir(disk.0.path()).unwrap().count(), 0);

    let file = world.backup().await;
    let target = disk.0.path().join("data");
    let error = restore(world.to(&file, &target)).await.unwrap_err();
    assert!(error.hint.unwrap().contains("free some space"), "{}", error.detail);
    assert!(!target.exists(), "a folder that was begun is taken away");
}

/// An environment on this host that serves the release whose digest begins so.
async fn serve(world: &World, tx: &store::Tx, name: &str, digest: char, host: &str) {
    let releases = store::releases::list(tx, &world.app, None, 10).await.unwrap();
    let release = releases.iter().find(|r| r.digest.as_str().starts_with(digest)).unwrap();
    let environment = store::environments::Environment {
        id: domain::EnvironmentId::from_ulid(Ulid::generate()),
        app_id: world.app.clone(),
        app: "shop".parse().unwrap(),
        name: name.parse().unwrap(),
        generation: 1,
        acting: None,
        active_deployment: None,
        active_generation: 1,
        active_release: Some(release.id.clone()),
        created_at: store::time::micros(Utc::now()),
        host: host.to_owned(),
        running: None,
        supersede: Default::default(),
    };
    store::environments::insert(tx, &environment).await.unwrap();
}

#[tokio::test]
async fn only_what_serves_on_the_host_of_the_folder_needs_its_files() {
    let world = World::new().await;
    let layout = Layout::at(&world.path("data")).unwrap();
    std::fs::write(layout.host(), "f1").unwrap();
    let store = Store::open(&DatabaseUrl::sqlite(layout.database())).await.unwrap();
    let tx = store.write().await.unwrap();
    for (name, folder) in [("one", "f1"), ("two", "f2")] {
        let host = store::hosts::Host {
            name: name.to_owned(),
            folder_id: folder.to_owned(),
            key_fingerprint: "k".to_owned(),
            created_at: store::time::micros(Utc::now()),
        };
        store::hosts::register(&tx, &host).await.unwrap();
    }
    serve(&world, &tx, "production", 'a', "one").await;
    serve(&world, &tx, "staging", 'b', "two").await;
    serve(&world, &tx, "preview", 'a', "two").await;
    tx.commit().await.unwrap();
    store.close().await;
    let manifest = verify(&world.backup().await, None).unwrap();
    let mut elsewhere: Vec<_> = manifest.elsewhere.iter().map(|e| (e.environment.as_str(), e.kept)).collect();
    elsewhere.sort_unstable();
    assert_eq!(elsewhere, [("preview", true), ("staging", false)]);
    assert!(manifest.elsewhere.iter().all(|e| e.app == "shop" && e.host == "two"), "{manifest:#?}");
    // To the other one's folder it is the other way round: what is missing is its own.
    std::fs::write(layout.host(), "f2").unwrap();
    let error = create(world.options(&world.path("second"))).await.unwrap_err();
    assert!(error.detail.contains("missing"), "{error}");
}

#[tokio::test]
async fn a_release_that_serves_and_is_missing_is_no_backup() {
    let world = World::new().await;
    let layout = Layout::at(&world.path("data")).unwrap();
    let store = Store::open(&DatabaseUrl::sqlite(layout.database())).await.unwrap();
    let tx = store.write().await.unwrap();
    serve(&world, &tx, "production", 'b', "here").await;
    tx.commit().await.unwrap();
    store.close().await;
    let file = world.path("backup");
    let error = create(world.options(&file)).await.unwrap_err();
    assert!(error.detail.contains("missing"), "{error}");
    assert!(!file.exists() && world.litter().is_empty());
    let nowhere = CreateOptions { data: world.path("nowhere"), ..world.options(&file) };
    assert_eq!(create(nowhere).await.unwrap_err().status, 404);
}
