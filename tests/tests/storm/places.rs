//! The apps, each a repository with several environments.

use std::path::Path;
use std::sync::Mutex;

use crate::chance::Chance;
use domain::Name;
use domain::source::Source;
use plimsoll_tests::{App, Repo};

use crate::orders::Fate;

/// An app with its repository.
pub(crate) struct Team {
    pub(crate) name: Name,
    repo: Mutex<Repo>,
    /// Commits that are good, to be deployed again.
    good: Mutex<Vec<String>>,
}

/// An environment of an app.
pub(crate) struct Place {
    pub(crate) team: usize,
    pub(crate) app: Name,
    pub(crate) environment: Name,
    /// By which visitors ask for it.
    pub(crate) host: String,
    /// What breaks in the visitors' hands is only deployed where nobody counts them.
    pub(crate) rough: bool,
}

impl Place {
    /// What its journal is called.
    pub(crate) fn label(&self) -> String {
        format!("{}-{}", self.app, self.environment)
    }
}

/// Does what it is told in its environment's journal, and says so when somebody else is at it at the same time. The kernel frees a
/// lock when the last process that has it open has ended, and not a moment before.
const SCRIPT: &str = r#"
what=$1
shift
work=${PLIMSOLL_INSTANCE:-$PLIMSOLL_WORK}
note() { echo "$(date +%s%6N) $1 $what $work $$" >>"$JOURNALS/$PLACE.log"; }
case $what in
run) exec 9>>"$JOURNALS/$work.lock" ;;
*) exec 9>>"$JOURNALS/$PLACE.lock" ;;
esac
flock -n 9 || note overlap
note begin
[ "$what" = run ] && exec "$@"
sleep "$1"
note end
exit "$2"
"#;

impl Team {
    pub(crate) fn new(index: usize) -> Self {
        let repo = Repo::new();
        repo.commit([("README.md", "the first commit\n")], "begin");
        Self { name: format!("app{index}").parse().unwrap(), repo: Mutex::new(repo), good: Mutex::default() }
    }

    pub(crate) fn source(&self) -> Source {
        self.repo.lock().unwrap().source()
    }

    /// Commits what will have this fate; or finds an older commit that was good, if there is one and chance has it.
    pub(crate) fn commit(&self, fate: Fate, version: u64, chance: &Chance) -> String {
        let repo = self.repo.lock().unwrap();
        let mut good = self.good.lock().unwrap();
        if fate == Fate::Serves
            && chance.percent(15)
            && let Some(commit) = chance.pick(&good)
        {
            return commit.clone();
        }
        if fate == Fate::Missing {
            return "0123456789abcdef0123456789abcdef01234567".to_owned();
        }
        let commit = repo.commit(files(fate, version, chance), &format!("v{version}"));
        if fate == Fate::Serves {
            good.push(commit.clone());
        }
        commit
    }
}

fn files(fate: Fate, version: u64, chance: &Chance) -> Vec<(&'static str, String)> {
    let step = |what: &str, status: u8| {
        let span = chance.millis(100, 1_200).as_secs_f64();
        format!("sh storm.sh {what} {span} {status}")
    };
    let mut app = App::new(&format!("v{version}")).env("SHOW_INSTANCE", "1").grace("20s");
    app = app.build(&step("build", u8::from(fate == Fate::BuildFails)));
    if fate == Fate::ReleaseFails || chance.percent(40) {
        app = app.release(&step("release", u8::from(fate == Fate::ReleaseFails)));
    }
    app = match fate {
        Fate::Unhealthy => app.env("UNHEALTHY", "1").grace("2s"),
        Fate::Exits => app.env("EXIT_AT_START", "1").grace("2s"),
        Fate::Breaks => app.env("CRASH", "loudly"),
        Fate::Serves | Fate::BuildFails | Fate::ReleaseFails | Fate::Missing => app,
    };
    let mut files = app.files();
    for (name, text) in &mut files {
        if *name == "Procfile" {
            *text = text.replace("web: ", "web: exec sh storm.sh run ");
        }
    }
    files.push(("storm.sh", SCRIPT.to_owned()));
    files
}

/// The variables of an environment, by which its apps find their journal.
pub(crate) fn variables(place: &Place, journals: &Path) -> Vec<(String, String)> {
    vec![("PLACE".to_owned(), place.label()), ("JOURNALS".to_owned(), journals.display().to_string())]
}
