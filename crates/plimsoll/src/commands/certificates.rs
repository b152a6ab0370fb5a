//! `plimsoll certificates`: what the ingress shows over HTTPS.

use std::path::{Path, PathBuf};

use chrono::Utc;
use operations::certificates::{
    Add, AddRequest, Certificate, CertificateState, Get, GetRequest, List, ListRequest, Remove,
};
use operations::variables::Value;
use operations::{Error, Operation};

use super::Context;
use crate::confirm::confirm;
use crate::failure::Failure;
use crate::table::{Table, Tone};
use crate::text::{self, clean};

const EXAMPLES: &str = "\
Examples:
  plimsoll certificates add --certificate fullchain.pem --key privkey.pem
  plimsoll certificates add --certificate wildcard.pem --key wildcard.key --default
  plimsoll certificates list
  plimsoll certificates show shop.example.org
  plimsoll certificates remove shop.example.org --yes

The server needs an address for HTTPS: plimsoll server --ingress-https-listen 0.0.0.0:443";

/// Larger files are no certificates.
const LIMIT: u64 = 1 << 20;

/// Add, list, show and remove certificates for HTTPS.
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
    #[command(about = Get::SUMMARY, after_help = EXAMPLES)]
    Show(GetRequest),
    #[command(about = Add::SUMMARY, after_help = EXAMPLES)]
    Add(New),
    #[command(about = Remove::SUMMARY, after_help = EXAMPLES)]
    Remove(Gone),
}

#[derive(Debug, clap::Args)]
struct New {
    /// PEM file: the server's own certificate, then its issuer, and so on.
    #[arg(long, value_name = "FILE")]
    certificate: PathBuf,
    /// PEM file with its private key, not encrypted.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Show it to clients that ask for a name which no certificate has, or for none.
    #[arg(long)]
    default: bool,
}

#[derive(Debug, clap::Args)]
struct Gone {
    #[command(flatten)]
    request: GetRequest,
    /// Don't ask.
    #[arg(long, short)]
    yes: bool,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let out = &context.out;
    match args.command {
        Command::List(request) => {
            let all = context.connect()?.call::<List>(&request).await?;
            if out.json {
                return out.document(&all);
            }
            if all.is_empty() {
                out.remark("there are no certificates: `plimsoll certificates add` takes one");
                return Ok(());
            }
            out.line(table(context, &all))?;
            tell_warnings(context, &all);
            Ok(())
        }
        Command::Show(request) => show(context, &context.connect()?.call::<Get>(&request).await?),
        Command::Add(new) => {
            let certificate = read(&new.certificate)?;
            let key = Value::from(read(&new.key)?);
            let request = AddRequest { certificate, key, default: new.default };
            let added = context.connect()?.call::<Add>(&request).await?;
            if out.json {
                return out.document(&added);
            }
            let names = clean(&added.certificate.names.join(", "));
            out.line(format!("added {} for {names}", added.certificate.id))?;
            for old in &added.replaced {
                out.line(format!("replaced {old}"))?;
            }
            tell_warnings(context, std::slice::from_ref(&added.certificate));
            Ok(())
        }
        Command::Remove(Gone { request, yes }) => {
            let connection = context.connect()?;
            let what = clean(&request.certificate);
            confirm(yes, &format!("Removing the certificate {what}, after which its names answer no HTTPS"))?;
            let gone = connection.call::<Remove>(&request).await?;
            match out.json {
                true => out.document(&gone),
                false => out.line(format!("removed {} for {}", gone.id, clean(&gone.names.join(", ")))),
            }
        }
    }
}

fn table(context: &Context, all: &[Certificate]) -> String {
    let mut table = Table::new(&context.out, &["id", "names", "expires", "state"]);
    for certificate in all {
        let default = if certificate.default { "\n(default)" } else { "" };
        let (state, tone) = state(certificate.state);
        table.row([
            (certificate.id.to_string(), Tone::Plain),
            (format!("{}{default}", certificate.names.join("\n")), Tone::Plain),
            (text::local(certificate.not_after), Tone::Plain),
            (state.to_owned(), tone),
        ]);
    }
    table.render()
}

fn show(context: &Context, certificate: &Certificate) -> Result<(), Failure> {
    let out = &context.out;
    if out.json {
        return out.document(certificate);
    }
    let days = (certificate.not_after - Utc::now()).num_days();
    out.line(format!("certificate  {}", certificate.id))?;
    out.line(format!("names        {}", clean(&certificate.names.join(", "))))?;
    out.line(format!("issuer       {}", clean(&certificate.issuer)))?;
    out.line(format!("sha-256      {}", certificate.fingerprint))?;
    out.line(format!("valid from   {}", text::local(certificate.not_before)))?;
    out.line(format!("valid until  {} ({days} days)", text::local(certificate.not_after)))?;
    out.line(format!("default      {}", if certificate.default { "yes" } else { "no" }))?;
    out.line(format!("state        {}", state(certificate.state).0))?;
    tell_warnings(context, std::slice::from_ref(certificate));
    Ok(())
}

fn tell_warnings(context: &Context, all: &[Certificate]) {
    for certificate in all {
        if let Some(warning) = &certificate.warning {
            let names = clean(&certificate.names.join(", "));
            context.out.warn(format!("{} ({names}): {}", certificate.id, clean(warning)));
        }
    }
}

fn state(state: CertificateState) -> (&'static str, Tone) {
    match state {
        CertificateState::Serving => ("serving", Tone::Good),
        CertificateState::Expiring => ("expiring", Tone::Waiting),
        CertificateState::Expired => ("expired", Tone::Bad),
        CertificateState::NotYetValid => ("not yet valid", Tone::Waiting),
        CertificateState::Unserved => ("not served", Tone::Bad),
    }
}

/// What can't be text is no PEM; the content is never shown.
fn read(path: &Path) -> Result<String, Failure> {
    let failed = |e: std::io::Error| Failure::file("read", path, &e);
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > LIMIT {
        return Err(Error::invalid(format!("{} is too large for a certificate or a key", path.display())).into());
    }
    match String::from_utf8(std::fs::read(path).map_err(failed)?) {
        Ok(text) => Ok(text),
        Err(_) => Err(Error::invalid(format!("{} is no PEM file", path.display()))
            .hint("turn DER into PEM: openssl x509 -inform der -in FILE, or openssl pkey -inform der -in FILE")
            .into()),
    }
}
