//! An app for tests: a Procfile, a program of the standard library, and a `plimsoll.toml` that makes it misbehave.

use std::collections::BTreeMap;

use domain::phase::Phase;

const PROGRAM: &str = include_str!("serve.py");

/// What to commit: `App::new("v2").env("UNHEALTHY", "1").files()`.
#[derive(Debug, Clone)]
pub struct App {
    version: String,
    build: Option<String>,
    release: Option<String>,
    grace: String,
    env: BTreeMap<String, String>,
    more: String,
}

impl App {
    /// The phases in which it can be slow.
    pub const LONG: [Phase; 3] = [Phase::Building, Phase::Migrating, Phase::HealthCheck];

    /// Answers `/` with `version`, `/healthz`, `/pid`, `/started`, `/env/NAME` and `/json/NAME`.
    pub fn new(version: &str) -> Self {
        Self {
            version: version.to_owned(),
            build: None,
            release: None,
            grace: "30s".to_owned(),
            env: BTreeMap::new(),
            more: String::new(),
        }
    }

    /// Shell command of its build.
    #[must_use]
    pub fn build(mut self, command: &str) -> Self {
        self.build = Some(command.to_owned());
        self
    }

    /// Its release command.
    #[must_use]
    pub fn release(mut self, command: &str) -> Self {
        self.release = Some(command.to_owned());
        self
    }

    /// Time to become healthy in, such as `2s`.
    #[must_use]
    pub fn grace(mut self, span: &str) -> Self {
        self.grace = span.to_owned();
        self
    }

    /// `EXIT_AT_START` and `UNHEALTHY` with any value; `CRASH` at the first request for `/`, `loudly` in the middle
    /// of it or `quietly` with nothing in hand; `START_DELAY` in seconds, `SHOW_PID` to answer `/` with version and pid,
    /// `SHOW_INSTANCE` with version and instance; anything else is only there to be seen.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// With a command to build and one to release, and a second in `phase`, or in the next that has something to be slow in:
    /// long enough to be met there, and no longer.
    #[must_use]
    pub fn slow_in(self, phase: Phase) -> Self {
        let slow = Self::LONG.into_iter().find(|long| *long >= phase);
        let command = |at| if slow == Some(at) { "sleep 1" } else { "true" };
        let app = self.build(command(Phase::Building)).release(command(Phase::Migrating));
        if slow == Some(Phase::HealthCheck) { app.env("START_DELAY", "1") } else { app }
    }

    /// More of its `plimsoll.toml`, such as smoke tests.
    #[must_use]
    pub fn configured(mut self, text: &str) -> Self {
        self.more.push_str(text);
        self
    }

    /// Paths and contents.
    pub fn files(&self) -> Vec<(&'static str, String)> {
        let mut procfile = "web: python3 serve.py\n".to_owned();
        if let Some(command) = &self.release {
            procfile.push_str(&format!("release: {command}\n"));
        }
        let mut config = "[components.web]\nkind = \"procfile\"\nstop_timeout = \"5s\"\n".to_owned();
        if let Some(command) = &self.build {
            config.push_str(&format!("build = [{command:?}]\n"));
        }
        config.push_str(&format!(
            "[components.web.health]\npath = \"/healthz\"\ninterval = \"50ms\"\ngrace = {:?}\n[components.web.env]\n",
            self.grace
        ));
        for (name, value) in &self.env {
            config.push_str(&format!("{name} = {value:?}\n"));
        }
        config.push_str(&self.more);
        vec![
            ("serve.py", PROGRAM.to_owned()),
            ("VERSION", format!("{}\n", self.version)),
            ("Procfile", procfile),
            ("plimsoll.toml", config),
        ]
    }
}

/// The program alone, for apps of several components.
pub fn program() -> &'static str {
    PROGRAM
}
