//! The data folder and the key file: whose they are, and who may read them.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use control::inspect;
use nix::unistd::{AccessFlags, access, geteuid};

use super::{Finding, Surroundings};

const FOLDER: &str = "data folder";
const KEY: &str = "key file";

pub(super) fn check(around: &Surroundings) -> Vec<Finding> {
    let data = &around.data;
    let meta = match fs::metadata(data) {
        Ok(meta) => meta,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return vec![Finding::skipped(
                FOLDER,
                format!("{} is not there yet; the first start makes it", data.display()),
            )];
        }
        Err(e) => {
            let advice = "Run this as the server's user, or as root";
            return vec![Finding::failed(FOLDER, format!("can't look at {}: {e}", data.display()), advice)];
        }
    };
    if !meta.is_dir() {
        return vec![Finding::failed(FOLDER, format!("{} is no folder", data.display()), "Choose another with --data")];
    }
    vec![folder(data, &meta), key(data)]
}

fn folder(data: &Path, meta: &fs::Metadata) -> Finding {
    let (owner, me, mode) = (meta.uid(), geteuid(), meta.permissions().mode() & 0o777);
    let shown = data.display();
    if inspect::is_half_restored(data) {
        let advice = "Run `plimsoll restore` with this folder again: it starts over";
        return Finding::failed(FOLDER, format!("a restore into {shown} was begun and did not end"), advice);
    }
    if owner != me.as_raw() && !me.is_root() {
        let advice = "Run Plimsoll as the user that owns the folder";
        return Finding::failed(FOLDER, format!("{shown} belongs to user {owner}, and this is user {me}"), advice);
    }
    if let Err(e) = access(data, AccessFlags::R_OK | AccessFlags::W_OK | AccessFlags::X_OK) {
        return Finding::failed(
            FOLDER,
            format!("no right to write into {shown}: {e}"),
            "Give the right to the server's user",
        );
    }
    if mode & 0o022 != 0 {
        let advice = format!("chmod 700 {shown}, and look at what was changed in it");
        return Finding::failed(FOLDER, format!("others may write into {shown} (mode {mode:o})"), advice);
    }
    // Apps of users of their own have to come through.
    if mode & 0o044 != 0 {
        let advice = format!("chmod 700 {shown}");
        return Finding::warning(FOLDER, format!("others may list {shown} (mode {mode:o})"), advice);
    }
    Finding::ok(FOLDER, format!("{shown}, mode {mode:o}, of user {owner}"))
}

fn key(data: &Path) -> Finding {
    match inspect::key_file(data) {
        Some(Ok(())) => Finding::ok(KEY, "there, and for its owner alone"),
        Some(Err(e)) => {
            Finding::failed(KEY, e.clone(), "Put `master.key` back from a backup; mode 600, of the server's user")
        }
        None if data.join("plimsoll.db").exists() => Finding::failed(
            KEY,
            "master.key is missing, and without it no variable can be read",
            "Put it back from a backup before the server is started",
        ),
        None => Finding::skipped(KEY, "not there yet; the first start makes it"),
    }
}
