//! Puts the app together from `plimsoll.toml`, the Procfiles and the guesses.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use domain::Name;
use domain::config::{ComponentConfig, Config, ConfigError, locate};
use domain::health::{HealthCheck, Probe};
use domain::limit::Span;
use domain::limits::Limits;
use domain::order::dependency_order;
use domain::procfile::{self, Process};
use domain::spec::{AppSpec, Build, Component, Serve, Stack};

use crate::error::DetectError;
use crate::folder::Folder;
use crate::recognise::{Recognised, recognise};
use crate::routes::give_default_route;
use crate::stack::{self, Guess, Known, Served};
use crate::toolchain::Toolchain;

const BUILD_TIMEOUT: Span = Span::secs(30 * 60);
const STOP_TIMEOUT: Span = Span::secs(10);

/// An app on its way to a spec.
pub(crate) struct Assembly<'a> {
    source: &'a Folder,
    /// Of `plimsoll.toml`, for places in errors.
    text: &'a str,
    tools: &'a Toolchain,
    build_limits: Limits,
    drafts: Vec<Draft>,
    sites: BTreeMap<PathBuf, Site>,
    pub(crate) notes: Vec<String>,
}

/// A component as far as it is written down.
struct Draft {
    name: Name,
    config: ComponentConfig,
    /// The process of the folder's Procfile that it is.
    process: Option<Process>,
}

/// A folder that components live in.
struct Site {
    stack: Stack,
    guess: Guess,
    release: Option<String>,
    /// The component that the guess's command and the release command are for.
    main: Name,
}

impl<'a> Assembly<'a> {
    pub(crate) fn new(
        source: &'a Folder,
        text: &'a str,
        config: &Config,
        tools: &'a Toolchain,
    ) -> Result<Self, DetectError> {
        let mut drafts: Vec<Draft> = config
            .components
            .iter()
            .map(|(name, c)| Draft { name: name.clone(), config: c.clone(), process: None })
            .collect();
        let build_limits = config.build.limits;
        let assembly =
            |drafts| Self { source, text, tools, build_limits, drafts, sites: BTreeMap::new(), notes: Vec::new() };
        // The Procfile at the top speaks for the whole app, unless all of it lives further down.
        if drafts.is_empty() || drafts.iter().any(|d| d.config.root.is_root()) {
            let processes = processes(source)?;
            let mut named: BTreeMap<Name, &str> = BTreeMap::new();
            for process in processes.iter().filter(|p| p.kind != "release") {
                let name = component_name(process, &named)?;
                named.insert(name.clone(), &process.kind);
                if !drafts.iter().any(|d| d.name == name) {
                    drafts.push(Draft { name, config: ComponentConfig::default(), process: None });
                }
            }
        }
        if drafts.is_empty() {
            drafts.push(Draft { name: web(), config: ComponentConfig::default(), process: None });
        }
        Ok(assembly(drafts))
    }

    pub(crate) fn app(&mut self) -> Result<AppSpec, DetectError> {
        let roots: BTreeSet<PathBuf> = self.drafts.iter().map(|d| d.config.root.as_path().to_owned()).collect();
        for root in roots {
            let site = self.site(&root)?;
            self.sites.insert(root, site);
        }
        let mut components = self.drafts.iter().map(|d| self.component(d)).collect::<Result<Vec<_>, _>>()?;
        give_default_route(&mut components, self.text)?;
        let builds = self.sites.iter().map(|(root, site)| self.build(root, site)).collect();
        let build_limits = self.build_limits;
        Ok(AppSpec { builds, build_limits, components: self.ordered(components)?, smoke_tests: Vec::new() })
    }

    /// Looks into a folder, and at what all its components say of it.
    fn site(&mut self, root: &Path) -> Result<Site, DetectError> {
        let here: Vec<usize> =
            (0..self.drafts.len()).filter(|i| self.drafts[*i].config.root.as_path() == root).collect();
        let folder = self.source.enter(root).ok_or_else(|| {
            let drafts = here.first().map(|i| &self.drafts[*i]);
            let message = format!("there is no folder `{}` in the source", root.display());
            self.wrong(
                drafts.map_or("", |d| d.name.as_str()),
                "root",
                message,
                "give a folder that is committed, relative to the top",
            )
        })?;
        let processes = processes(&folder)?;
        for i in &here {
            let name = self.drafts[*i].name.clone();
            self.drafts[*i].process = process_for(&name, here.len(), &processes);
        }
        let draft = |i: &usize| &self.drafts[*i];
        self.agree(&here, "kind", |c| c.kind)?;
        self.agree(&here, "build", |c| c.build.clone())?;
        self.agree(&here, "build_timeout", |c| c.build_timeout)?;
        let config = |i: &usize| &draft(i).config;
        let known = Known { build: here.iter().any(|i| config(i).build.is_some()) };
        let told = |i: &usize| config(i).start.is_some() || config(i).publish.is_some() || draft(i).process.is_some();
        let all_told = here.iter().all(told);
        let wants_files = |i: &usize| config(i).publish.is_some() || config(i).kind == Some(Stack::Static);
        let kind = here.iter().find_map(|i| config(i).kind);
        let recognised = kind.map_or_else(|| recognise(&folder), Recognised::Stack);
        let stack = match recognised {
            // A public/ folder beside a program makes no static site.
            Recognised::Stack(Stack::Static) if kind.is_none() && all_told && !here.iter().any(wants_files) => {
                Stack::Procfile
            }
            Recognised::Stack(stack) => stack,
            Recognised::Nothing if all_told => Stack::Procfile,
            Recognised::Other(_) if all_told && known.build => Stack::Procfile,
            Recognised::Other(language) => return Err(self.no_commands(root, &language)),
            Recognised::Nothing => return Err(self.nothing(root)),
        };
        let mut guess = stack::guess(stack, &folder, self.tools, known)?;
        // Files of a build serve nobody when a Procfile says what runs.
        if all_told && matches!(guess.served, Served::Files { .. }) && !here.iter().any(wants_files) {
            guess.discard.clear();
        }
        let main = here.iter().map(|i| &draft(i).name).find(|n| **n == web());
        let main = main.or_else(|| here.first().map(|i| &draft(i).name)).cloned().unwrap_or_else(web);
        self.notes.append(&mut guess.notes);
        let release = processes.iter().find(|p| p.kind == "release").map(|p| p.command.clone());
        Ok(Site { stack, guess, release, main })
    }

    fn build(&self, root: &Path, site: &Site) -> Build {
        let here = || self.drafts.iter().filter(|d| d.config.root.as_path() == root);
        let told = here().find_map(|d| d.config.build.as_ref());
        let commands = match told {
            Some(commands) => commands.iter().map(str::to_owned).collect(),
            None => site.guess.commands.clone(),
        };
        let timeout = here().find_map(|d| d.config.build_timeout).unwrap_or(BUILD_TIMEOUT);
        // Whoever writes the commands knows what they leave.
        let discard = if told.is_some() { Vec::new() } else { site.guess.discard.clone() };
        Build { root: root.to_owned(), stack: site.stack, commands, timeout, discard }
    }

    fn component(&self, draft: &Draft) -> Result<Component, DetectError> {
        let config = &draft.config;
        let site = &self.sites[config.root.as_path()];
        let serve = self.serve(draft, site)?;
        let is_process = matches!(serve, Serve::Process { .. });
        let mut env = if is_process { site.guess.env.clone() } else { BTreeMap::new() };
        env.extend(config.env.iter().map(|(k, v)| (k.as_str().to_owned(), v.clone())));
        let release = config.release.as_ref().map(|r| r.as_str().to_owned());
        let release = release.or_else(|| site.release.clone().filter(|_| site.main == draft.name));
        let mut component = Component {
            name: draft.name.clone(),
            root: config.root.as_path().to_owned(),
            serve,
            release_command: release,
            health: HealthCheck::new(Probe::Running),
            request_timeout: config.request_timeout,
            max_body: config.max_body,
            routes: config.routes.clone(),
            depends_on: config.depends_on.clone(),
            limits: config.limits.unwrap_or_default(),
            env,
        };
        component.health = health(config, &component);
        Ok(component)
    }

    /// In the order of strength: what is written for it, the Procfile, the guess for the folder.
    fn serve(&self, draft: &Draft, site: &Site) -> Result<Serve, DetectError> {
        let config = &draft.config;
        if let Some(publish) = &config.publish {
            let single_page = config.single_page.unwrap_or(false);
            return Ok(Serve::Static { publish: publish.as_path().to_owned(), single_page });
        }
        let start = config.start.as_ref().map(|c| c.as_str());
        let is_static = config.kind == Some(Stack::Static);
        if let Some(command) = start.or(draft.process.as_ref().filter(|_| !is_static).map(|p| p.command.as_str())) {
            let is_worker = start.is_none() && draft.process.as_ref().is_some_and(|p| p.kind != "web");
            return Ok(process(config, command, is_worker));
        }
        if site.main != draft.name {
            return Err(self.no_start(draft, "it is not the first component of its folder"));
        }
        match &site.guess.served {
            Served::Command(command) => Ok(process(config, command, false)),
            Served::Files { publish, single_page } => {
                let told_process = config.listens.is_some() || config.health.is_some() || config.instances.is_some();
                if told_process {
                    return Err(self.no_start(draft, "its folder looks like a static site"));
                }
                let single_page = config.single_page.unwrap_or(*single_page);
                Ok(Serve::Static { publish: publish.clone(), single_page })
            }
            Served::Unknown(looked_for) => Err(self.no_start(draft, &format!("looked for {looked_for}"))),
        }
    }

    fn ordered(&self, components: Vec<Component>) -> Result<Vec<Component>, DetectError> {
        let graph = components.iter().map(|c| (c.name.clone(), c.depends_on.clone())).collect();
        let order = dependency_order(&graph).map_err(|e| self.wrong("", "", e.to_string(), "correct `depends_on`"))?;
        let mut by_name: BTreeMap<Name, Component> = components.into_iter().map(|c| (c.name.clone(), c)).collect();
        Ok(order.iter().filter_map(|name| by_name.remove(name)).collect())
    }

    /// Components of one folder share its build, so they can't ask for different ones.
    fn agree<T: PartialEq>(
        &self,
        here: &[usize],
        key: &str,
        get: impl Fn(&ComponentConfig) -> Option<T>,
    ) -> Result<(), DetectError> {
        let mut first: Option<(T, &Name)> = None;
        for draft in here.iter().map(|i| &self.drafts[*i]) {
            match (get(&draft.config), &first) {
                (Some(value), Some((known, other))) if value != *known => {
                    let message = format!(
                        "`{}` and `{other}` share a folder, which is built once, and give it different values of `{key}`",
                        draft.name
                    );
                    return Err(self.wrong(
                        draft.name.as_str(),
                        key,
                        message,
                        "write it for one of them, or give them different `root`s",
                    ));
                }
                (Some(value), None) => first = Some((value, &draft.name)),
                _ => {}
            }
        }
        Ok(())
    }

    fn no_start(&self, draft: &Draft, why: &str) -> DetectError {
        let message = format!("nothing says how `{}` is started: {why}", draft.name);
        let hint = format!(
            "add a Procfile with `{0}: <command>`, or to plimsoll.toml:\n\n[components.{0}]\nstart = \"<command>\"",
            draft.name
        );
        if locate(self.text, &["components", draft.name.as_str()]).is_empty() {
            DetectError::Unrecognised { message, hint }
        } else {
            self.wrong(
                draft.name.as_str(),
                "",
                message,
                "give it `start = \"<command>\"`, or `publish = \"<folder>\"` for files",
            )
        }
    }

    fn no_commands(&self, root: &Path, language: &str) -> DetectError {
        DetectError::Unrecognised {
            message: format!("{} looks like {language}, which Plimsoll can't build by itself yet", shown(root)),
            hint: format!(
                "say how in plimsoll.toml:\n\n{}build = [\"<command>\"]\nstart = \"<command>\"",
                header(root)
            ),
        }
    }

    fn nothing(&self, root: &Path) -> DetectError {
        DetectError::Unrecognised {
            message: format!(
                "{} holds nothing that tells how to run it; looked for plimsoll.toml, Procfile, package.json, requirements.txt, pyproject.toml, Pipfile, main.py, app.py, Cargo.toml, go.mod, main.go and index.html (here, or in public, dist, build, …)",
                shown(root)
            ),
            hint: format!(
                "add one, or a plimsoll.toml:\n\n{}start = \"<command that listens on $PORT>\"",
                header(root)
            ),
        }
    }

    fn wrong(&self, component: &str, key: &str, message: String, hint: &str) -> DetectError {
        let path: Vec<&str> = ["components", component, key].into_iter().filter(|k| !k.is_empty()).collect();
        DetectError::Config(ConfigError::at(self.text, locate(self.text, &path), message, Some(hint.to_owned())))
    }
}

fn process(config: &ComponentConfig, command: &str, is_worker: bool) -> Serve {
    let asks_port = config.health.as_ref().is_some_and(|h| h.path.is_some() || h.tcp.is_some());
    let listens = config.listens.unwrap_or(!is_worker || asks_port || !config.routes.is_empty());
    Serve::Process {
        command: command.to_owned(),
        instances: config.instances.map_or(1, |i| i.get()),
        listens,
        stop_timeout: config.stop_timeout.unwrap_or(STOP_TIMEOUT),
    }
}

/// A port that accepts connections is all that a web app made for other platforms promises: `/` may well be 404 or 401.
fn health(config: &ComponentConfig, component: &Component) -> HealthCheck {
    let listens = matches!(component.serve, Serve::Process { listens: true, .. });
    let mut check = HealthCheck::new(if listens { Probe::Tcp } else { Probe::Running });
    let Some(told) = &config.health else { return check };
    if let Some(path) = &told.path {
        check.probe = Probe::Http { path: path.as_str().to_owned() };
    } else if let Some(command) = &told.command {
        check.probe = Probe::Command { command: command.as_str().to_owned() };
    }
    check.interval = told.interval.unwrap_or(check.interval);
    check.timeout = told.timeout.unwrap_or(check.timeout);
    check.threshold = told.threshold.map_or(check.threshold, |t| t.get());
    check.grace = told.grace.unwrap_or(check.grace);
    check
}

fn processes(folder: &Folder) -> Result<Vec<Process>, DetectError> {
    let Some(text) = folder.read("Procfile")? else { return Ok(Vec::new()) };
    procfile::parse(&text).map_err(|error| DetectError::File {
        file: folder.relative.join("Procfile").display().to_string(),
        message: error.to_string(),
        hint: "each line is `type: command`, such as `web: node server.js`".to_owned(),
    })
}

/// The process of a component: the one of its name, or `web` for the only component of a folder.
fn process_for(name: &Name, components: usize, processes: &[Process]) -> Option<Process> {
    let named = processes.iter().find(|p| p.kind != "release" && Name::from_loose(&p.kind).as_ref() == Some(name));
    let only = || processes.iter().find(|p| components == 1 && p.kind == "web");
    named.or_else(only).cloned()
}

fn component_name(process: &Process, named: &BTreeMap<Name, &str>) -> Result<Name, DetectError> {
    let wrong = |message: String| DetectError::File {
        file: "Procfile".to_owned(),
        message: format!("line {}: {message}", process.line),
        hint: "rename the process type".to_owned(),
    };
    let name = Name::from_loose(&process.kind)
        .ok_or_else(|| wrong(format!("`{}` can't be the name of a component", process.kind)))?;
    match named.get(&name) {
        Some(other) => Err(wrong(format!("`{}` and `{other}` both become the component `{name}`", process.kind))),
        None => Ok(name),
    }
}

fn web() -> Name {
    // Its letters are valid, which a test sees to.
    Name::from_loose("web").unwrap_or_else(|| unreachable!("`web` is a name"))
}

fn shown(root: &Path) -> String {
    if root.as_os_str().is_empty() { "the source".to_owned() } else { format!("the folder `{}`", root.display()) }
}

fn header(root: &Path) -> String {
    let root = if root.as_os_str().is_empty() { String::new() } else { format!("root = \"{}\"\n", root.display()) };
    format!("[components.web]\n{root}")
}
