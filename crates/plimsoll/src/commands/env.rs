//! `plimsoll env`: environment variables. Values go in and never come out.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Read};
use std::path::PathBuf;

use domain::Name;
use operations::variables::{List, ListRequest, Set, SetRequest, Unset, UnsetRequest, Value, Variable};
use operations::{Error, Operation};

use super::Context;
use crate::confirm::confirm;
use crate::dotenv;
use crate::failure::Failure;
use crate::table::Table;

const EXAMPLES: &str = "\
Examples:
  plimsoll env set LOG_LEVEL=debug GREETING=\"hello you\"
  plimsoll env set DATABASE_URL          asks for the value, and shows nothing of it
  plimsoll env set API_KEY < key.txt     reads the value from its input
  plimsoll env set --file .env --env staging
  plimsoll env list
  plimsoll env unset LOG_LEVEL --yes";

/// Set, list and unset an environment's variables.
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
    Set(New),
    #[command(about = Unset::SUMMARY, after_help = EXAMPLES)]
    Unset(Gone),
}

#[derive(Debug, clap::Args)]
struct New {
    /// Name of the app.
    #[arg(long, short)]
    app: Name,
    /// Name of the environment.
    #[arg(long = "env", short = 'e', value_name = "NAME", default_value = "production")]
    environment: Name,
    /// Variables; the value of one that is only named is read from the input, or asked for on a terminal.
    #[arg(value_name = "NAME[=VALUE]", required_unless_present = "file")]
    variables: Vec<String>,
    /// Read them from a file of NAME=value lines.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Gone {
    #[command(flatten)]
    request: UnsetRequest,
    /// Don't ask.
    #[arg(long, short)]
    yes: bool,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let out = &context.out;
    match args.command {
        Command::List(request) => {
            let all = context.connect()?.call::<List>(&request).await?;
            if !out.json && all.is_empty() {
                out.remark(format!("{} of {} has no variables", request.environment, request.app));
                return Ok(());
            }
            show(context, &all)
        }
        Command::Set(new) => {
            let connection = context.connect()?;
            let variables = gather(&new)?;
            let names: Vec<String> = variables.keys().cloned().collect();
            let request = SetRequest { app: new.app, environment: new.environment, variables };
            let all = connection.call::<Set>(&request).await?;
            changed(context, &all, format!("set {}", names.join(", ")))
        }
        Command::Unset(Gone { request, yes }) => {
            let connection = context.connect()?;
            let what = request.names.join(", ");
            confirm(yes, &format!("Removing {what} from {} of {}", request.environment, request.app))?;
            let all = connection.call::<Unset>(&request).await?;
            changed(context, &all, format!("removed {what}"))
        }
    }
}

fn changed(context: &Context, all: &[Variable], what: String) -> Result<(), Failure> {
    if context.out.json {
        return context.out.document(&all);
    }
    context.out.line(what)?;
    context.out.remark("it takes effect with the next deployment");
    Ok(())
}

fn show(context: &Context, all: &[Variable]) -> Result<(), Failure> {
    if context.out.json {
        return context.out.document(&all);
    }
    let mut table = Table::new(&context.out, &["name"]);
    for variable in all {
        table.plain_row([variable.name.clone()]);
    }
    context.out.line(table.render())
}

/// From the file first, so that the command line wins over it.
fn gather(new: &New) -> Result<BTreeMap<String, Value>, Failure> {
    let mut variables = BTreeMap::new();
    if let Some(path) = &new.file {
        let text = std::fs::read_to_string(path).map_err(|e| Failure::file("read", path, &e))?;
        let read = dotenv::parse(&text, &path.display().to_string())?;
        variables.extend(read.into_iter().map(|(name, value)| (name, Value::from(value))));
    }
    let unnamed = new.variables.iter().filter(|text| !text.contains('=')).count();
    if unnamed > 1 && !std::io::stdin().is_terminal() {
        return Err(
            Failure::usage("only one value can be read from the input").hint("Set them one by one, or with --file")
        );
    }
    for text in &new.variables {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text.as_str(), None),
        };
        if !dotenv::is_name(name) {
            // The whole text is not shown: what follows the `=` may be a secret.
            return Err(Error::invalid(format!("`{name}` is no name of a variable"))
                .hint("Use letters, digits and `_`, not a digit first")
                .into());
        }
        let value = match value {
            Some(value) => value,
            None => read_value(name)?,
        };
        variables.insert(name.to_owned(), Value::from(value));
    }
    if variables.is_empty() {
        return Err(Error::invalid("there is nothing to set: the file holds no variables").into());
    }
    Ok(variables)
}

/// Without echo on a terminal; else all of the input but the line end that `echo` adds.
fn read_value(name: &str) -> Result<String, Failure> {
    let wrong = |e: std::io::Error| Failure::from(Error::invalid(format!("can't read the value of {name}: {e}")));
    if std::io::stdin().is_terminal() {
        let term = dialoguer::console::Term::stderr();
        term.write_str(&format!("value of {name} (not shown): ")).map_err(wrong)?;
        return term.read_secure_line().map_err(wrong);
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(wrong)?;
    let value = text.strip_suffix('\n').unwrap_or(&text);
    Ok(value.strip_suffix('\r').unwrap_or(value).to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn new(variables: &[&str], file: Option<PathBuf>) -> New {
        New {
            app: "a".parse().unwrap(),
            environment: "production".parse().unwrap(),
            variables: variables.iter().map(ToString::to_string).collect(),
            file,
        }
    }

    #[test]
    fn the_command_line_wins_over_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(".env");
        std::fs::write(&file, "A=file\nB=file\n").unwrap();
        let variables = gather(&new(&["A=line=x"], Some(file))).unwrap();
        assert_eq!(serde_json::to_value(&variables).unwrap(), serde_json::json!({ "A": "line=x", "B": "file" }));
    }

    #[test]
    fn wrong_names_are_refused_without_showing_values() {
        for bad in ["1A=secret", "A-B=secret", "=secret"] {
            let Err(Failure::Problem { problem, .. }) = gather(&new(&[bad], None)) else { panic!("{bad}") };
            assert!(!problem.detail.contains("secret"), "{}", problem.detail);
        }
    }
}
