//! `plimsoll mail`: the mail server that mails are handed to.

use std::path::PathBuf;

use domain::channel::Encryption;
use operations::Operation;
use operations::mail::{Mail, NewMailServer, Set, SetRequest, Show, ShowRequest};

use super::Context;
use super::channels::secret_from;
use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  plimsoll mail show
  plimsoll mail set --host mail.example.org --from plimsoll@example.org --user plimsoll --password-file mail-password
  plimsoll mail set --host mail.example.org --encryption starttls --from \"Plimsoll <plimsoll@example.org>\"
  plimsoll mail clear

`plimsoll channels create mail` says who gets mails.";

/// Name the mail server that mails are handed to.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    #[command(about = Show::SUMMARY, after_help = EXAMPLES, alias = "list")]
    Show,
    #[command(about = Set::SUMMARY, after_help = EXAMPLES)]
    Set(Server),
    /// Forget the mail server: no mail leaves any more.
    #[command(after_help = EXAMPLES)]
    Clear,
}

#[derive(Debug, clap::Args)]
struct Server {
    /// Name or address of the server.
    #[arg(long, value_name = "HOST")]
    host: String,
    /// By default 465 with tls, 587 with starttls, 25 with none.
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// tls, starttls, or none, which only goes into networks of --allow-outgoing.
    #[arg(long, value_name = "HOW", default_value_t = Encryption::Tls)]
    encryption: Encryption,
    /// Who mails are from.
    #[arg(long, value_name = "MAILBOX")]
    from: String,
    /// Who signs in there.
    #[arg(long, value_name = "USER", requires = "password_file")]
    user: Option<String>,
    /// File with the password, `-` for stdin.
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let (out, connection) = (&context.out, context.connect()?);
    let mail = match args.command {
        Command::Show => connection.call::<Show>(&ShowRequest {}).await?,
        Command::Clear => connection.call::<Set>(&SetRequest { server: None }).await?,
        Command::Set(Server { host, port, encryption, from, user, password_file }) => {
            let password = password_file.as_deref().map(secret_from).transpose()?;
            let usual = match encryption {
                Encryption::Tls => 465,
                Encryption::Starttls => 587,
                Encryption::None => 25,
            };
            let port = port.unwrap_or(usual);
            let server = NewMailServer { host, port, encryption, from, user, password };
            connection.call::<Set>(&SetRequest { server: Some(server) }).await?
        }
    };
    match out.json {
        true => out.document(&mail),
        false => out.line(told(&mail)),
    }
}

fn told(mail: &Mail) -> String {
    let Some(server) = &mail.server else {
        return "no mail server is known, and no mail leaves".to_owned();
    };
    let user = server.user.as_ref().map(|user| format!(", as {user}")).unwrap_or_default();
    format!("mails from {} go by {}:{} ({}){user}", server.from, server.host, server.port, server.encryption)
}
