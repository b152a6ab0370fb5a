//! `plimsoll keys`: the keys that everything secret in the database is sealed with.

use control::keys::{RotateOptions, Rotated, rotate};

use super::Context;
use crate::connection::data_folder;
use crate::database::DatabaseArgs;
use crate::failure::Failure;
use crate::text;

const EXAMPLES: &str = "\
Examples:
  plimsoll keys rotate --data /var/lib/plimsoll
  plimsoll keys rotate --data /var/lib/plimsoll --database-url-file /etc/plimsoll/database-url

On the server's machine, as the server's user or as root, while all servers of the database are stopped; apps serve on. Stopped
half-way it is run again.";

/// Change the key file of a stopped server.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Put a new key into use, and everything in the database under it
    #[command(after_help = EXAMPLES)]
    Rotate(Rotate),
}

#[derive(Debug, clap::Args)]
struct Rotate {
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let Command::Rotate(args) = args.command;
    let data = data_folder(&context.globals)?;
    let database = args.database.find(&context.out)?;
    let rotated = rotate(RotateOptions { data, database }).await?;
    if context.out.json {
        return context.out.document(&rotated);
    }
    for line in lines(&rotated) {
        context.out.line(line)?;
    }
    Ok(())
}

/// What was done, and what follows from it.
fn lines(rotated: &Rotated) -> Vec<String> {
    let file = rotated.file.display();
    let what = match rotated.resumed {
        true => "the rotation that was stopped half-way is done; run it again for another key",
        false => "a new key is in use",
    };
    let mut lines = vec![
        format!("{file}: {what}"),
        format!(
            "  under it  {}, {}; the values themselves stay as they are",
            text::count(rotated.data_keys as usize, "data key"),
            text::count(rotated.secrets as usize, "other secret")
        ),
        format!(
            "  earlier   {} in the file: keep {}, for recovery codes, records of the audit log and backups of before",
            text::count(rotated.keys.saturating_sub(1), "key"),
            if rotated.keys == 2 { "it" } else { "them" }
        ),
        "  ended     signed tokens (JWT), sign-ins that are half done, what was remembered under idempotency keys"
            .to_owned(),
        "  stays     sessions, passwords, API tokens, second factors".to_owned(),
    ];
    if !rotated.hosts.is_empty() {
        let hosts = rotated.hosts.join(", ");
        lines.push(format!("  to do     copy the file to the data folders of other hosts, with mode 600, before a server starts there: {hosts}"));
    }
    lines.push("  to do     make a backup: those of before hold the key of before".to_owned());
    lines
}
