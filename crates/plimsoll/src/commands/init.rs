//! `plimsoll init`: makes an app of the repository that we are in.

use std::path::{Path, PathBuf};

use domain::Name;
use domain::config::FILE_NAME;
use domain::route::RoutePattern;
use domain::source::Source;
use domain::spec::{AppSpec, Serve};
use operations::sources::{Detect, DetectRequest};
use operations::{Error, ErrorKind, apps};

use super::{Context, here};
use crate::connection::Connection;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::source;
use crate::table::Table;
use crate::text::{clean, clean_lines};

const EXAMPLES: &str = "\
Examples:
  plimsoll init                          named after plimsoll.toml or the folder
  plimsoll init shop
  plimsoll init shop --source https://example.org/team/shop.git";

/// Make an app of this repository: look at it, tell the server of it, write a plimsoll.toml.
///
/// Shows how the source would be built and run, creates the app, and writes a small plimsoll.toml with its name if
/// there is none. Nothing is deployed yet; running it again changes nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Name of the app.
    #[arg(value_name = "NAME")]
    name: Option<Name>,
    /// A git repository (folder or URL), or a folder; by default the repository that we are in.
    #[arg(long, value_name = "URL|PATH")]
    source: Option<String>,
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let connection = context.connect()?;
    let out = &context.out;
    let (source, folder) = chosen(args.source.as_deref())?;
    reachable(&connection, &source)?;
    let detected = connection.call::<Detect>(&DetectRequest { source: source.clone() }).await?;
    let name = match (args.name, detected.name) {
        (Some(name), _) | (None, Some(name)) => name,
        (None, None) => guessed(&source, context)?,
    };
    out.remark(describe(context, &detected.spec));
    for note in &detected.notes {
        out.remark(format!("{} {}", out.remark_paint.yellow("!"), clean_lines(note)));
    }
    let (app, is_new) = ensure_app(&connection, &name, &source).await?;
    let written = match &folder {
        Some(folder) => write_config(folder, &name)?,
        None => None,
    };
    if out.json {
        return out.document(&app);
    }
    out.line(match is_new {
        true => format!("{} created {name} from {}", out.paint.green("✓"), clean(&source::describe(&source))),
        false => format!("{} {name} is there already", out.paint.green("✓")),
    })?;
    if let Some(path) = written {
        out.line(format!("{} wrote {}", out.paint.green("✓"), path.display()))?;
    }
    out.line(match folder {
        Some(_) => "  deploy it: plimsoll deploy".to_owned(),
        None => format!("  deploy it: plimsoll deploy {name}"),
    })
}

/// The source, and the folder in which a `plimsoll.toml` belongs if it is one of ours.
fn chosen(text: Option<&str>) -> Result<(Source, Option<PathBuf>), Failure> {
    let source = match text {
        Some(text) => source::of_text(text, None)?,
        None => source::of_folder(&here()?)?.0,
    };
    let folder = match &source {
        Source::Directory { path } => Some(path.clone()),
        Source::Git { url, .. } => Some(PathBuf::from(url)).filter(|path| path.is_dir()),
        Source::Archive { .. } => None,
    };
    Ok((source, folder))
}

/// A server elsewhere can't read this machine's disk.
pub(super) fn reachable(connection: &Connection, source: &Source) -> Result<(), Failure> {
    if source::is_local(source) && !connection.is_local() {
        return Err(Error::invalid(format!(
            "{} is on this machine, and the server at {} is not",
            source::describe(source),
            connection.client().base()
        ))
        .hint("Push it somewhere, and give its URL: https://… or ssh://…")
        .into());
    }
    Ok(())
}

fn guessed(source: &Source, context: &Context) -> Result<Name, Failure> {
    let last = match source {
        Source::Git { url, .. } => {
            url.trim_end_matches('/').rsplit(['/', ':']).next().map(|last| last.trim_end_matches(".git").to_owned())
        }
        Source::Directory { path } => path.file_name().map(|name| name.to_string_lossy().into_owned()),
        Source::Archive { .. } => None,
    };
    match last.as_deref().and_then(Name::from_loose) {
        Some(name) => Ok(name),
        None => context.app(None),
    }
}

/// The app, and whether it is new. One that exists with another source is not touched.
pub(super) async fn ensure_app(
    connection: &Connection,
    name: &Name,
    source: &Source,
) -> Result<(apps::App, bool), Failure> {
    let request = apps::CreateRequest { name: name.clone(), source: Some(source.clone()) };
    let refused = match connection.call::<apps::Create>(&request).await {
        Ok(app) => return Ok((app, true)),
        Err(failure) => failure,
    };
    let Failure::Problem { exit: Exit::Conflict, .. } = &refused else {
        return Err(refused);
    };
    let found = connection.call::<apps::Get>(&apps::GetRequest { app: name.clone() }).await?.app;
    match &found.source {
        Some(theirs) if theirs == source => Ok((found, false)),
        None => {
            let request = apps::SetSourceRequest { app: name.clone(), source: source.clone() };
            Ok((connection.call::<apps::SetSource>(&request).await?, false))
        }
        Some(theirs) => Err(Error::new(
            ErrorKind::Conflict,
            format!("there is an app `{name}` already, and it comes from {}", source::describe(theirs)),
        )
        .hint(format!("Choose another name (`plimsoll init NAME`), or change its source: `plimsoll apps set-source {name} URL|PATH`"))
        .into()),
    }
}

fn describe(context: &Context, spec: &AppSpec) -> String {
    let mut table = Table::new(&context.out, &["part", "what it is", "command"]);
    for build in &spec.builds {
        let commands = if build.commands.is_empty() {
            "nothing to build".to_owned()
        } else {
            build.commands.iter().map(|c| c.lines().next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
        };
        table.plain_row([format!("build {}", folder(&build.root)), build.stack.to_string(), commands]);
    }
    for component in &spec.components {
        let (what, command) = match &component.serve {
            Serve::Process { command, instances, listens: true, .. } => {
                (format!("{instances} × web process"), command.clone())
            }
            Serve::Process { command, instances, listens: false, .. } => {
                (format!("{instances} × worker"), command.clone())
            }
            Serve::Static { publish, .. } => ("files".to_owned(), folder(publish)),
        };
        table.plain_row([component.name.to_string(), what, command]);
        if let Some(command) = &component.release_command {
            table.plain_row([String::new(), "before it starts".to_owned(), command.clone()]);
        }
        for route in &component.routes {
            table.plain_row([String::new(), "answers at".to_owned(), address(route)]);
        }
    }
    table.render()
}

/// Host and path; the host of an environment is its own choice when the route names none.
fn address(route: &RoutePattern) -> String {
    let host = route.host.as_ref().map_or("the environment's host", |host| host.as_str());
    format!("{host}{}", route.path.as_str())
}

/// A folder of the source; `.` for its root.
pub(super) fn folder(path: &Path) -> String {
    if path.as_os_str().is_empty() { ".".to_owned() } else { clean(&path.display().to_string()) }
}

/// Writes a `plimsoll.toml`; `None` if there is one, which is never touched.
fn write_config(folder: &Path, name: &Name) -> Result<Option<PathBuf>, Failure> {
    use std::io::Write;
    let path = folder.join(FILE_NAME);
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(&path);
    match file {
        Ok(mut file) => {
            file.write_all(config(name).as_bytes()).map_err(|e| Failure::file("write", &path, &e))?;
            Ok(Some(path))
        }
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(None),
        Err(e) => Err(Failure::file("write", &path, &e)),
    }
}

fn config(name: &Name) -> String {
    format!(
        "# How Plimsoll deploys this repository. Everything in here may be left out.\n\
         \n\
         [app]\n\
         name = \"{name}\"\n\
         \n\
         # What is not said is detected. To say it, name a component:\n\
         #\n\
         # [components.web]\n\
         # build = [\"npm ci\", \"npm run build\"]\n\
         # start = \"node server.js\"        # listens on $PORT\n\
         # health.path = \"/health\"         # must answer before traffic is switched\n"
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_file_that_is_written_is_valid_with_and_without_its_comments_and_never_overwrites() {
        let dir = tempfile::tempdir().unwrap();
        let name: Name = "shop".parse().unwrap();
        let path = write_config(dir.path(), &name).unwrap().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(domain::config::parse(&text).unwrap().app.name, Some(name.clone()));
        let (head, example) = text.split_once("name a component:\n#\n").unwrap();
        let example: String = example.lines().map(|line| format!("{}\n", &line[2..])).collect();
        let config = domain::config::parse(&format!("{head}\n{example}")).unwrap();
        assert_eq!(config.components.len(), 1);

        std::fs::write(&path, "# mine\n").unwrap();
        assert_eq!(write_config(dir.path(), &name).unwrap(), None);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "# mine\n");
    }
}
