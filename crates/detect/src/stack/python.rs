//! Python, installed into a virtual environment of the release.

use std::path::PathBuf;

use super::{Guess, Known, Served, quoted, require};
use crate::error::DetectError;
use crate::folder::Folder;
use crate::toolchain::Toolchain;

pub(crate) fn guess(folder: &Folder, tools: &Toolchain, known: Known) -> Result<Guess, DetectError> {
    require(tools.python3.is_some() || known.build, "python3", "a Python app", "install Python 3 with venv")?;
    let project = Project::read(folder)?;
    let mut guess = Guess::new(project.served());
    let python = choose_python(folder, tools, &mut guess.notes)?;
    guess.commands.push(format!("{python} -m venv .venv"));
    project.install(&python, &mut guess);
    // A build runs in a workspace and is moved, and pip writes absolute paths into what it installs.
    guess.commands.push(format!(".venv/bin/python3 -c '{}'", include_str!("relocate.py").trim_end()));
    guess.env.insert("PYTHONUNBUFFERED".to_owned(), "1".to_owned());
    Ok(guess)
}

/// What the files of a Python project say.
struct Project<'a> {
    folder: &'a Folder,
    requirements: Option<String>,
    pyproject: Option<toml::Table>,
    pipfile: Option<String>,
}

const PIP: &str = ".venv/bin/python3 -m pip install --disable-pip-version-check --no-input";
/// Tools of the build, apart from what the app needs.
const TOOLS: &str = ".plimsoll-tools";

impl<'a> Project<'a> {
    fn read(folder: &'a Folder) -> Result<Self, DetectError> {
        let pyproject = match folder.read("pyproject.toml")? {
            Some(text) => Some(text.parse().map_err(|error: toml::de::Error| DetectError::File {
                file: folder.relative.join("pyproject.toml").display().to_string(),
                message: error.message().to_owned(),
                hint: "correct it".to_owned(),
            })?),
            None => None,
        };
        Ok(Self { folder, requirements: folder.read("requirements.txt")?, pyproject, pipfile: folder.read("Pipfile")? })
    }

    fn install(&self, python: &str, guess: &mut Guess) {
        let mut with_tool = |tool: &str, command: String| {
            guess.commands.push(format!("{python} -m venv {TOOLS}"));
            guess
                .commands
                .push(format!("{TOOLS}/bin/python3 -m pip install --disable-pip-version-check --no-input {tool}"));
            guess.commands.push(command);
            guess.discard.push(PathBuf::from(TOOLS));
        };
        // An editable install would point at the workspace, which is gone once the release runs.
        if self.requirements.is_some() {
            guess.commands.push(format!("{PIP} -r requirements.txt"));
        } else if self.pyproject.is_some() && self.folder.has_file("uv.lock") {
            let sync = "sync --frozen --no-dev --no-editable --python .venv/bin/python3";
            with_tool("uv", format!("UV_PROJECT_ENVIRONMENT=.venv {TOOLS}/bin/uv {sync}"));
        } else if self.pyproject.is_some() && self.folder.has_file("poetry.lock") {
            let install = "install --only main --no-root --no-interaction --no-ansi";
            with_tool(
                "poetry",
                format!("VIRTUAL_ENV=\"$PWD/.venv\" POETRY_VIRTUALENVS_IN_PROJECT=1 {TOOLS}/bin/poetry {install}"),
            );
            if self.pyproject.as_ref().is_some_and(|p| p.contains_key("build-system")) && !self.is_no_package() {
                guess.commands.push(format!("{PIP} --no-deps ."));
            }
        } else if self.pipfile.is_some() {
            let install = if self.folder.has_file("Pipfile.lock") { "sync" } else { "install --skip-lock" };
            with_tool("pipenv", format!("VIRTUAL_ENV=\"$PWD/.venv\" PIPENV_VERBOSITY=-1 {TOOLS}/bin/pipenv {install}"));
        } else if self.is_package() {
            guess.commands.push(format!("{PIP} ."));
        } else if self.pyproject.is_some() {
            guess.notes.push("pyproject.toml names no project, so nothing of it was installed".to_owned());
        }
    }

    fn is_package(&self) -> bool {
        let declares = |p: &toml::Table| p.contains_key("project") || p.contains_key("build-system");
        self.pyproject.as_ref().is_some_and(declares) || self.folder.has_file("setup.py")
    }

    /// Poetry's `package-mode = false`.
    fn is_no_package(&self) -> bool {
        let poetry = self.pyproject.as_ref().and_then(|p| p.get("tool")).and_then(|t| t.get("poetry"));
        poetry.and_then(|p| p.get("package-mode")).and_then(|m| m.as_bool()) == Some(false)
    }

    fn uses(&self, package: &str) -> bool {
        let lists = [self.requirements.as_deref(), self.pipfile.as_deref()];
        let listed = lists.into_iter().flatten().flat_map(str::lines).any(|line| is_requirement(line, package));
        let dependencies = self.pyproject.as_ref().and_then(|p| p.get("project")).and_then(|p| p.get("dependencies"));
        let declared = dependencies.and_then(|d| d.as_array()).into_iter().flatten().filter_map(|d| d.as_str());
        let poetry = self.pyproject.as_ref().and_then(|p| p.get("tool")).and_then(|t| t.get("poetry"));
        let poetry = poetry.and_then(|p| p.get("dependencies")).and_then(|d| d.as_table());
        listed
            || declared.into_iter().any(|d| is_requirement(d, package))
            || poetry.is_some_and(|p| p.keys().any(|k| k.eq_ignore_ascii_case(package)))
    }

    fn served(&self) -> Served {
        let folder = self.folder;
        if folder.has_file("manage.py") && self.uses("django") {
            let project = folder.folders("").into_iter().find(|f| folder.has_file(&format!("{f}/wsgi.py")));
            return Served::Command(match project {
                Some(project) if self.uses("gunicorn") => {
                    format!("gunicorn --bind 0.0.0.0:$PORT {}.wsgi", quoted(&project))
                }
                _ => "python manage.py runserver --noreload 0.0.0.0:$PORT".to_owned(),
            });
        }
        let module = ["main", "app", "server", "wsgi", "asgi"].into_iter().find_map(|module| {
            let text = folder.read(&format!("{module}.py")).ok().flatten()?;
            web_object(&text).map(|object| (module, object))
        });
        if let Some((module, (object, kind))) = module {
            let server = if kind == "FastAPI" || kind == "Starlette" { "uvicorn" } else { "gunicorn" };
            match server {
                "uvicorn" if self.uses("uvicorn") => {
                    return Served::Command(format!("uvicorn --host 0.0.0.0 --port $PORT {module}:{object}"));
                }
                "uvicorn" if self.uses("fastapi") => {
                    return Served::Command(format!("fastapi run --host 0.0.0.0 --port $PORT {module}.py"));
                }
                "gunicorn" if self.uses("gunicorn") => {
                    return Served::Command(format!("gunicorn --bind 0.0.0.0:$PORT {module}:{object}"));
                }
                "gunicorn" if self.uses("flask") => {
                    return Served::Command(format!("flask --app {module} run --host 0.0.0.0 --port $PORT"));
                }
                _ => {}
            }
        }
        if let Some(file) = folder.first_of(&["main.py", "app.py", "server.py"]) {
            return Served::Command(format!("python {file}"));
        }
        let scripts = self.pyproject.as_ref().and_then(|p| p.get("project")).and_then(|p| p.get("scripts"));
        if let Some(scripts) = scripts.and_then(|s| s.as_table())
            && let (1, Some(name)) = (scripts.len(), scripts.keys().next())
        {
            return Served::Command(quoted(name));
        }
        Served::Unknown("manage.py, main.py, app.py or server.py, or one script in pyproject.toml".to_owned())
    }
}

/// The variable that holds a web application, and its class: `app = Flask(__name__)`.
fn web_object(text: &str) -> Option<(String, &'static str)> {
    const KINDS: [&str; 5] = ["Flask", "FastAPI", "Starlette", "Bottle", "Quart"];
    text.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        let (name, value) = (name.split(':').next()?.trim_end(), value.trim_start());
        let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let kind = KINDS.into_iter().find(|k| value.strip_prefix(k).is_some_and(|rest| rest.starts_with('(')))?;
        is_name.then(|| (name.to_owned(), kind))
    })
}

/// The line of a requirements file, Pipfile or dependency list names the package.
fn is_requirement(line: &str, package: &str) -> bool {
    let line = line.trim_start().trim_start_matches('"');
    match line.get(..package.len()) {
        Some(start) if start.eq_ignore_ascii_case(package) => {
            !line[package.len()..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_' || c == '.')
        }
        _ => false,
    }
}

/// `python3.N` where the app asks for it and it is installed, else `python3`.
fn choose_python(folder: &Folder, tools: &Toolchain, notes: &mut Vec<String>) -> Result<String, DetectError> {
    for file in [".python-version", "runtime.txt", ".tool-versions"] {
        let Some(text) = folder.read(file)? else { continue };
        let wanted = match file {
            ".tool-versions" => text.lines().find_map(|l| l.trim().strip_prefix("python ")).map(str::to_owned),
            _ => text.lines().map(str::trim).find(|l| !l.is_empty() && !l.starts_with('#')).map(str::to_owned),
        };
        let Some(wanted) = wanted else { continue };
        let Some(minor) = minor(&wanted) else {
            let shown: String = wanted.chars().filter(|c| !c.is_control()).take(40).collect();
            notes.push(format!("{file} asks for Python `{shown}`, which is no version of Python 3; `python3` is used"));
            break;
        };
        if tools.python_minors.contains(&minor) {
            return Ok(format!("python3.{minor}"));
        }
        match tools.python3 {
            Some(installed) if installed != minor => notes.push(format!(
                "{file} asks for Python 3.{minor}, which is not installed here; Python 3.{installed} is used"
            )),
            _ => {}
        }
        break;
    }
    Ok("python3".to_owned())
}

/// 11 of `3.11`, `3.11.4` and `python-3.11.4`.
fn minor(text: &str) -> Option<u32> {
    let version = text.trim().strip_prefix("python-").unwrap_or(text.trim());
    let digits: String = version.strip_prefix("3.")?.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_requirements_and_objects() {
        for (text, expected) in [
            ("3.11", Some(11)),
            ("python-3.12.1\n", Some(12)),
            ("3.9.x", Some(9)),
            ("2.7", None),
            ("pypy3.10", None),
            ("", None),
        ] {
            assert_eq!(minor(text), expected, "{text}");
        }
        for (line, expected) in [
            ("Flask==3", true),
            ("flask", true),
            ("flask[async]>=2", true),
            ("flask-login", false),
            ("flaskx", false),
            ("\"flask>1\"", true),
            ("é", false),
        ] {
            assert_eq!(is_requirement(line, "flask"), expected, "{line}");
        }
        assert_eq!(web_object("import x\napp = Flask(__name__)"), Some(("app".to_owned(), "Flask")));
        assert_eq!(web_object("api: FastAPI = FastAPI()"), Some(("api".to_owned(), "FastAPI")));
        assert_eq!(web_object("a.b = Flask(x)"), None);
        assert_eq!(web_object("app = Flasky(x)"), None);
    }

    #[test]
    fn the_script_can_stand_in_single_quotes() {
        assert!(!include_str!("relocate.py").contains('\''));
    }
}
