//! `plimsoll backup`: everything that Plimsoll knows and serves, in one file.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use chrono::Utc;
use control::backup::{self, CreateOptions, Keys, Manifest};
use operations::Error;
use operations::server::{Info, InfoRequest};
use serde_json::json;

use super::Context;
use crate::connection::data_folder;
use crate::database::DatabaseArgs;
use crate::failure::Failure;
use crate::passphrase::PassphraseArgs;
use crate::text;

const EXAMPLES: &str = "\
Examples:
  plimsoll backup create --passphrase-file /root/plimsoll.passphrase
  plimsoll backup create --output /backup/monday.tar.zst --without-keys
  plimsoll backup verify /backup/monday.tar.zst

The server may run meanwhile, or be down. `plimsoll restore` makes a data folder of the file. Databases and files of the
apps themselves are not in it.";

/// Write and check backups of Plimsoll's own state.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Write a backup, and read it back to see that it is whole
    #[command(after_help = EXAMPLES)]
    Create(Create),
    /// Compare a backup with its checksums; with a passphrase, try whether it opens the keys
    #[command(after_help = EXAMPLES)]
    Verify(Verify),
}

#[derive(Debug, clap::Args)]
struct Create {
    /// The file to write; by default plimsoll-DATE.tar.zst in this folder.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    /// Leave key file and certificates out: whoever restores needs `master.key` from elsewhere, or no variable can be read.
    #[arg(long, conflicts_with = "passphrase_file")]
    without_keys: bool,
    /// Leave out what deployments printed.
    #[arg(long)]
    without_outputs: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Debug, clap::Args)]
struct Verify {
    /// The backup.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Create(args) => create(context, args).await,
        Command::Verify(Verify { file, passphrase }) => {
            let manifest = backup::verify(&file, passphrase.find()?.as_ref())?;
            tell(context, "is whole", &file, &manifest)
        }
    }
}

async fn create(context: &Context, args: Create) -> Result<(), Failure> {
    let data = data_folder(&context.globals)?;
    let database = args.database.find(&context.out)?;
    if database.is_none() && serves_from_postgres(context).await {
        return Err(Failure::usage("the server of this folder keeps its data in PostgreSQL")
            .hint("Give its address: --database-url-file FILE, or PLIMSOLL_DATABASE_URL"));
    }
    let keys = match (args.without_keys, args.passphrase.find()?) {
        (true, _) => Keys::LeftOut,
        (false, Some(passphrase)) => Keys::Sealed(passphrase),
        (false, None) => {
            return Err(Failure::usage(
                "the key file is a secret: it goes into a backup sealed with a passphrase, or not at all",
            )
            .hint("Give --passphrase-file FILE, or leave it out with --without-keys and keep `master.key` elsewhere"));
        }
    };
    let file = args.output.unwrap_or_else(|| Utc::now().format("plimsoll-%Y%m%d-%H%M%S.tar.zst").to_string().into());
    let options = CreateOptions { data, database, file: file.clone(), keys, outputs: !args.without_outputs };
    let manifest = backup::create(options).await?;
    if !manifest.has_secrets() {
        context.out.warn("without the file `master.key` of the data folder no variable of this backup can be read: keep a copy of it elsewhere");
    }
    for path in &manifest.skipped {
        context.out.warn(format!("left out, as it is neither file, folder nor link: {}", path.display()));
    }
    tell(context, "written", &file, &manifest)
}

/// A server that is away, or not ours, says nothing.
async fn serves_from_postgres(context: &Context) -> bool {
    match context.connect() {
        Ok(connection) if connection.is_local() => {
            connection.call::<Info>(&InfoRequest {}).await.is_ok_and(|info| info.database == "postgres")
        }
        _ => false,
    }
}

/// What a backup holds.
fn tell(context: &Context, what: &str, file: &Path, manifest: &Manifest) -> Result<(), Failure> {
    let out = &context.out;
    let size = std::fs::metadata(file).map_err(|e| Failure::file("read", file, &e))?.len();
    if out.json {
        return out.document(&json!({ "file": file, "size": size, "manifest": manifest }));
    }
    out.line(format!("{} {what} ({})", file.display(), text::bytes(size)))?;
    for line in lines(manifest) {
        out.line(format!("  {line}"))?;
    }
    Ok(())
}

/// A line for each part.
pub(super) fn lines(manifest: &Manifest) -> Vec<String> {
    let rows = |table: &str| manifest.tables.get(table).copied().unwrap_or(0) as usize;
    let kept = manifest.releases.iter().filter(|release| release.kept).count();
    let active = manifest.releases.iter().filter(|release| release.active && release.kept).count();
    let hosts: BTreeSet<&str> = manifest.elsewhere.iter().map(|other| other.host.as_str()).collect();
    let hosts = Vec::from_iter(hosts).join(", ");
    let others = match manifest.elsewhere.len() {
        0 => None,
        n => Some(format!("others  {} on {hosts}, whose own backups have the files", text::count(n, "environment"))),
    };
    let mut lines = vec![
        format!(
            "of      {}, {}, Plimsoll {}",
            text::local(manifest.taken_at),
            manifest.data.display(),
            manifest.version
        ),
        format!("apps    {}, {}", rows("apps"), text::count(rows("deployments"), "deployment")),
        format!("files   of {}, {active} of them active", text::count(kept, "release")),
        format!("keys    {}", if manifest.has_secrets() { "sealed with a passphrase" } else { "left out" }),
    ];
    lines.extend(others);
    lines
}

/// Of a restore without a key.
pub(super) fn no_key() -> Failure {
    Failure::from(Error::invalid("a passphrase or a key file is needed: the variables are sealed"))
        .hint("Give --passphrase-file FILE, or --key-file with the `master.key` of the old data folder")
}
