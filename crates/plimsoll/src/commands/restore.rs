//! `plimsoll restore`: a data folder out of a backup.

use std::path::PathBuf;

use control::backup::{RestoreKey, RestoreOptions, restore};

use super::{Context, backup};
use crate::database::DatabaseArgs;
use crate::failure::Failure;
use crate::passphrase::PassphraseArgs;

const EXAMPLES: &str = "\
Examples:
  plimsoll restore /backup/monday.tar.zst --data /var/lib/plimsoll --passphrase-file /root/plimsoll.passphrase
  plimsoll restore monday.tar.zst --data /srv/plimsoll --key-file /root/master.key

The folder must be new or empty; so must a PostgreSQL database. A backup of SQLite can be restored into PostgreSQL, and
the other way round.";

/// Make a data folder of a backup; the next `plimsoll server` with it brings everything back.
///
/// The whole backup is checked before anything is written. A restore that is interrupted leaves a folder on which no
/// server starts; run it again.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The backup.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    /// The key file, if it is not in the backup.
    #[arg(long, value_name = "FILE", conflicts_with = "passphrase_file")]
    key_file: Option<PathBuf>,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let out = &context.out;
    // Never by a guess.
    let Some(data) = context.globals.data.clone() else {
        return Err(Failure::usage("which folder? A restore needs --data DIR, a new or empty one"));
    };
    let key = match args.key_file {
        Some(file) => RestoreKey::File(file),
        None => RestoreKey::Passphrase(args.passphrase.find()?.ok_or_else(backup::no_key)?),
    };
    let database = args.database.find(out)?;
    let restored = restore(RestoreOptions { file: args.file, data, database, key }).await?;
    if restored.moved {
        out.warn(format!(
            "the folder was {} before: apps whose builds have noted that path (Python environments do) must be deployed again",
            restored.manifest.data.display()
        ));
    }
    for other in restored.manifest.elsewhere.iter().filter(|other| !other.kept) {
        out.warn(format!(
            "{}/{} served on the host {}, so its files are not in this backup: deploy it again",
            other.app, other.environment, other.host
        ));
    }
    if out.json {
        return out.document(&restored);
    }
    out.line(format!("restored {}", restored.data.display()))?;
    for line in backup::lines(&restored.manifest) {
        out.line(format!("  {line}"))?;
    }
    out.remark(format!("start it: plimsoll server --data {}", restored.data.display()));
    Ok(())
}
