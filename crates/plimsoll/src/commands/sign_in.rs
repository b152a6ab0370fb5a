//! `plimsoll sign-in`: by whose word people sign in, besides by password.

use std::path::PathBuf;

use operations::Operation;
use operations::auth_settings::{AuthSettings, Set, SetProvider, SetRequest, Show, ShowRequest, default_scopes};

use super::Context;
use crate::confirm::confirm;
use crate::failure::Failure;
use crate::text::clean;

const EXAMPLES: &str = "\
Examples:
  plimsoll sign-in show
  plimsoll sign-in set --issuer https://id.example.org --client-id plimsoll --client-secret-file secret.txt --name \"Example Inc.\"
  plimsoll sign-in set --issuer https://id.example.org --client-id plimsoll --link-by-email
  plimsoll sign-in clear --yes

Register the address that `show` prints at the provider first. Who comes by it has to be invited, by the address that the provider
has verified, or be linked already.";

/// Let people sign in by the word of a provider of OpenID Connect.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    #[command(about = Show::SUMMARY, after_help = EXAMPLES)]
    Show(Nothing),
    /// Say which provider.
    #[command(after_help = EXAMPLES)]
    Set(Wanted),
    /// Have none: people sign in by password alone.
    #[command(after_help = EXAMPLES)]
    Clear(Gone),
}

#[derive(Debug, clap::Args)]
struct Nothing {}

#[derive(Debug, clap::Args)]
struct Wanted {
    /// Its address, as it calls itself.
    #[arg(long, value_name = "URL")]
    issuer: String,
    /// As what the server is registered there.
    #[arg(long, value_name = "ID")]
    client_id: String,
    /// File with the secret that it got there; without it the one there is, for the same issuer and client.
    #[arg(long, value_name = "FILE")]
    client_secret_file: Option<PathBuf>,
    /// What the button says; by default the issuer's name.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// What to ask for besides `openid`.
    #[arg(long, value_name = "SCOPE", value_delimiter = ',')]
    scopes: Vec<String>,
    /// Take an address that the provider has verified for the person who has it here. Only where nobody can have another one's.
    #[arg(long)]
    link_by_email: bool,
}

#[derive(Debug, clap::Args)]
struct Gone {
    /// Don't ask.
    #[arg(long, short)]
    yes: bool,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Show(Nothing {}) => {
            let settings = context.connect()?.call::<Show>(&ShowRequest {}).await?;
            told(context, &settings)
        }
        Command::Set(wanted) => {
            let request = SetRequest { oidc: Some(provider(wanted)?) };
            let settings = context.connect()?.call::<Set>(&request).await?;
            told(context, &settings)
        }
        Command::Clear(Gone { yes }) => {
            let connection = context.connect()?;
            confirm(yes, "Having people sign in by password alone")?;
            let settings = connection.call::<Set>(&SetRequest { oidc: None }).await?;
            told(context, &settings)
        }
    }
}

fn provider(wanted: Wanted) -> Result<SetProvider, Failure> {
    let Wanted { issuer, client_id, client_secret_file, name, scopes, link_by_email } = wanted;
    let client_secret = match client_secret_file {
        Some(path) => {
            let text = std::fs::read_to_string(&path).map_err(|e| Failure::file("read", &path, &e))?;
            Some(text.trim().to_owned().into())
        }
        None => None,
    };
    let host = issuer.split("://").nth(1).and_then(|rest| rest.split(['/', ':']).next()).unwrap_or(&issuer);
    let name = name.unwrap_or_else(|| host.to_owned());
    let scopes = if scopes.is_empty() { default_scopes() } else { scopes };
    Ok(SetProvider { name, client_id, client_secret, scopes, link_by_email, issuer })
}

fn told(context: &Context, settings: &AuthSettings) -> Result<(), Failure> {
    let out = &context.out;
    if out.json {
        return out.document(settings);
    }
    match &settings.oidc {
        None => out.line("people sign in by password alone")?,
        Some(provider) => {
            out.line(format!("{} ({})", out.paint.bold(clean(&provider.name)), clean(&provider.issuer)))?;
            out.line(format!("  client         {}", clean(&provider.client_id)))?;
            out.line(format!("  asks for       openid {}", clean(&provider.scopes.join(" "))))?;
            let link = if provider.link_by_email { "by verified address" } else { "none" };
            out.line(format!("  links people   {link}"))?;
        }
    }
    out.line(format!("  comes back to  {}", settings.redirect))
}
