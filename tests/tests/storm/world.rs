//! Everything that the storm is over.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::chance::Chance;
use domain::route::Host;
use operations::environments::{self, EnvironmentRequest};
use operations::{apps, variables};
use plimsoll_tests::postgres::Postgres;

use crate::fleet::Fleet;
use crate::ledger::Ledger;
use crate::places::{self, Place, Team};
use crate::settings::{ENVIRONMENTS, Settings};
use crate::story::Story;
use crate::visitors::Seen;

pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) story: Story,
    pub(crate) ledger: Ledger,
    pub(crate) teams: Vec<Team>,
    pub(crate) places: Vec<Place>,
    /// Where builds and apps write down what they do.
    pub(crate) journals: PathBuf,
    /// Name of the database.
    pub(crate) database: String,
    pub(crate) versions: AtomicU64,
    ordering: AtomicBool,
    /// PostgreSQL is restarted by one at a time.
    pub(crate) weather: tokio::sync::Mutex<()>,
    // Dropped in this order: servers before their database.
    pub(crate) fleet: Fleet,
    pub(crate) postgres: Postgres,
}

impl World {
    /// Three servers, and apps that nothing was deployed of.
    pub(crate) async fn start(settings: Settings) -> Arc<Self> {
        let story = Story::begin(settings.seed);
        story.tell(&format!("{settings:?}"));
        let postgres = Postgres::start();
        let url = postgres.create_database();
        let database = url.rsplit('/').next().unwrap().to_owned();
        let fleet = Fleet::launch(&url, story.folder()).await;
        let journals = fleet.site.shared().join("journals");
        fs::create_dir(&journals).unwrap();
        fs::set_permissions(&journals, fs::Permissions::from_mode(0o777)).unwrap();
        let teams: Vec<Team> = (0..settings.apps).map(Team::new).collect();
        let mut places = Vec::new();
        let client = fleet.client(0);
        for (number, team) in teams.iter().enumerate() {
            let request = apps::CreateRequest { name: team.name.clone(), source: Some(team.source()) };
            client.call::<apps::Create>(&request).await.unwrap();
            for environment in ENVIRONMENTS {
                let (app, environment) = (team.name.clone(), environment.parse().unwrap());
                let rough = places.len() % 4 == 3;
                let host = Host::default_for(&app, &environment, "localhost").unwrap().to_string();
                let place = Place { team: number, app, environment, host, rough };
                let named = EnvironmentRequest { app: place.app.clone(), environment: place.environment.clone() };
                if client.call::<environments::Get>(&named).await.is_err() {
                    let (app, environment) = (place.app.clone(), place.environment.clone());
                    let request = environments::CreateRequest { app, environment, host: None };
                    client.call::<environments::Create>(&request).await.unwrap();
                }
                let variables = places::variables(&place, &journals).into_iter();
                let request = variables::SetRequest {
                    app: place.app.clone(),
                    environment: place.environment.clone(),
                    variables: variables.map(|(name, value)| (name, variables::Value::from(value))).collect(),
                };
                client.call::<variables::Set>(&request).await.unwrap();
                places.push(place);
            }
        }
        story.tell(&format!("{} servers and {} environments are there", fleet.nodes.len(), places.len()));
        let (versions, ordering) = (AtomicU64::new(1), AtomicBool::new(true));
        let ledger = Ledger::default();
        Arc::new(Self {
            settings,
            story,
            ledger,
            teams,
            places,
            journals,
            database,
            versions,
            ordering,
            weather: tokio::sync::Mutex::default(),
            fleet,
            postgres,
        })
    }

    /// Randomness of its own for each part: what one draws doesn't move another's.
    pub(crate) fn chance(&self, part: u64) -> Chance {
        Chance::of(self.settings.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ part)
    }

    /// Clients go home.
    pub(crate) fn stop_ordering(&self) {
        self.ordering.store(false, Ordering::SeqCst);
    }

    pub(crate) fn is_ordering(&self) -> bool {
        self.ordering.load(Ordering::SeqCst)
    }

    pub(crate) fn version(&self) -> u64 {
        self.versions.fetch_add(1, Ordering::SeqCst)
    }

    /// Tells how it went.
    ///
    /// # Panics
    /// When a promise was broken.
    pub(crate) async fn end(&self, seen: &Seen) {
        fs::write(self.story.folder().join("postgres.log"), self.postgres.log()).unwrap();
        let counts = self.story.counts();
        let counts: Vec<String> = counts.iter().map(|(what, n)| format!("{what}: {n}")).collect();
        let report = format!(
            "storm of seed {}, {:.0} s, {} environments, {} deployments accepted, {} in flight at most\n  {}\n  {}",
            self.settings.seed,
            self.story.seconds(),
            self.places.len(),
            self.ledger.accepted().len(),
            self.ledger.most(),
            counts.join("\n  "),
            seen.summary(),
        );
        self.story.tell(&report);
        println!("{report}");
        let wrong = self.story.found();
        self.fleet.stop_all().await;
        let listed: Vec<&str> = wrong.iter().map(String::as_str).take(30).collect();
        assert!(
            wrong.is_empty(),
            "{} promises were broken:\n  {}\nthe same weather: {}\nwhat was said: {}",
            wrong.len(),
            listed.join("\n  "),
            self.settings.replay(),
            self.story.folder().display()
        );
        if self.settings.minutes.is_none() {
            // A quiet end needs no story.
            fs::remove_dir_all(self.story.folder()).unwrap();
        }
    }
}
