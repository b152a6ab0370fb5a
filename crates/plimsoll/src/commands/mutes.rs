//! `plimsoll mutes`: apps that one does not want to hear of.

use operations::Operation;
use operations::mutes::{List, ListRequest, Mute, Remove, RemoveRequest, Set, SetRequest};

use super::Context;
use crate::failure::Failure;
use crate::table::Table;
use crate::text;

const EXAMPLES: &str = "\
Examples:
  plimsoll mutes list
  plimsoll mutes set shop --until \"in 2h\"
  plimsoll mutes remove shop

They are yours alone: use a token of your own (`plimsoll tokens create NAME --for me`). Channels are told all the same.";

/// Hear no more of an app.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    #[command(about = List::SUMMARY, after_help = EXAMPLES)]
    List(ListRequest),
    #[command(about = Set::SUMMARY, after_help = EXAMPLES)]
    Set(SetRequest),
    #[command(about = Remove::SUMMARY, after_help = EXAMPLES)]
    Remove(RemoveRequest),
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let (out, connection) = (&context.out, context.connect()?);
    let (mute, done) = match args.command {
        Command::List(request) => {
            let all = connection.call::<List>(&request).await?;
            if out.json {
                return out.document(&all);
            }
            if all.is_empty() {
                out.remark("you have muted no app");
                return Ok(());
            }
            let mut table = Table::new(out, &["app", "until"]);
            for mute in &all {
                table.plain_row([mute.app.to_string(), until(mute)]);
            }
            return out.line(table.render());
        }
        Command::Set(request) => {
            let mute = connection.call::<Set>(&request).await?;
            let until = until(&mute);
            (mute, format!("is muted {until}"))
        }
        Command::Remove(request) => (connection.call::<Remove>(&request).await?, "is heard of again".to_owned()),
    };
    match out.json {
        true => out.document(&mute),
        false => out.line(format!("{} {done}", mute.app)),
    }
}

fn until(mute: &Mute) -> String {
    mute.until.map_or_else(|| "until you say otherwise".to_owned(), |until| format!("until {}", text::local(until)))
}
