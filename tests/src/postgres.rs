//! A real PostgreSQL for tests: one throw-away cluster for each test process, one fresh database for each test.
//!
//! PostgreSQL must be installed (its programs are looked for on `PATH` and where distributions put
//! them); a test that needs it fails without it and is never skipped. Nothing has to be configured or running.

use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use nix::unistd::{Uid, User};

use crate::server::free_address;

/// A running cluster that listens on 127.0.0.1 alone. It ends, and its files go, when this is dropped or when the
/// test process ends in whatever way, `kill -9` included.
pub struct Postgres {
    port: u16,
    password: String,
    psql: PathBuf,
    databases: AtomicU32,
    log: PathBuf,
    /// A shell that owns the cluster and ends it when its standard input does.
    keeper: Child,
    /// Of the keeper, which carries out what it reads.
    orders: Mutex<Option<ChildStdin>>,
}

/// How PostgreSQL is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// Connections are ended, transactions undone, everything is written.
    Fast,
    /// At once, as in a crash: the next start recovers from the log.
    Immediate,
}

/// The superuser of the cluster.
pub const USER: &str = "plimsoll";

const START_LIMIT: Duration = Duration::from_secs(90);

/// For tests: what they write need not outlive the machine.
const QUICK: [&str; 4] = ["-c", "fsync=off", "-c", "shared_buffers=16MB"];

/// Runs as the user of the cluster. `read` fails when the test process closes the pipe or dies.
const KEEPER: &str = r#"
dir=$1 bin=$2 port=$3
shift 3
"$bin/initdb" -D "$dir/data" -U plimsoll -A scram-sha-256 --pwfile "$dir/password" -E UTF8 --no-locale --no-sync || {
    echo 'FATAL: initdb failed'
}
run() {
    "$bin/postgres" -D "$dir/data" -p "$port" -k "$dir" -c listen_addresses=127.0.0.1 -c max_connections=200 \
        -c dynamic_shared_memory_type=mmap "$@" &
    pid=$!
}
run "$@"
while read -r order; do
    case $order in
    fast) kill -INT "$pid"; wait "$pid" ;;
    immediate) kill -QUIT "$pid"; wait "$pid" ;;
    start) run "$@" ;;
    esac
done
kill -QUIT "$pid"
wait "$pid"
rm -rf "$dir"
"#;

impl Postgres {
    /// The cluster of this test process, started by whoever asks first.
    ///
    /// # Panics
    /// When PostgreSQL is not installed or does not start; the message says what to do.
    pub fn shared() -> &'static Postgres {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(Postgres::start)
    }

    /// A cluster of its own, for tests that stop it or change its settings.
    ///
    /// # Panics
    /// As [`Postgres::shared`].
    pub fn start() -> Postgres {
        Self::start_with(&QUICK)
    }

    /// As it comes, so that what is committed is on the disk; for what is measured.
    ///
    /// # Panics
    /// As [`Postgres::shared`].
    pub fn start_durable() -> Postgres {
        Self::start_with(&[])
    }

    fn start_with(settings: &[&str]) -> Postgres {
        let bin = find_bin().unwrap_or_else(|| {
            panic!(
                "PostgreSQL is not installed, and this test needs a real one: install the package `postgresql` \
                 (its programs `initdb` and `postgres` are looked for on PATH and in /usr/lib/postgresql/*/bin)"
            )
        });
        let mut last = String::new();
        // Who is no test of ours may take the port between its choice and its use.
        for _ in 0..3 {
            match Self::try_start(&bin, settings) {
                Ok(postgres) => return postgres,
                Err(error) => last = error,
            }
        }
        panic!("PostgreSQL in {} does not start:\n{last}", bin.display())
    }

    /// Makes an empty database and returns its URL, with user and password.
    pub fn create_database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        self.url(&name)
    }

    /// URL of the database `name`, which need not exist.
    pub fn url(&self, name: &str) -> String {
        format!("postgres://{USER}:{}@127.0.0.1:{}/{name}", self.password, self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn password(&self) -> &str {
        &self.password
    }

    /// Runs `sql` as the superuser and returns what `psql` prints: a line for each row, columns apart by `|`.
    ///
    /// # Panics
    /// When a statement fails.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        self.try_sql(database, sql).unwrap_or_else(|error| panic!("`{sql}` failed: {error}"))
    }

    /// Stops the cluster and waits until nobody listens. [`Postgres::resume`] starts it again.
    ///
    /// # Panics
    /// When it does not end.
    pub fn stop(&self, how: Shutdown) {
        self.order(match how {
            Shutdown::Fast => "fast",
            Shutdown::Immediate => "immediate",
        });
        let deadline = Instant::now() + START_LIMIT;
        while TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
            assert!(Instant::now() < deadline, "PostgreSQL does not end:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Starts the cluster again with the same files and port, and waits until it answers.
    ///
    /// # Panics
    /// When it does not.
    pub fn resume(&self) {
        self.order("start");
        let deadline = Instant::now() + START_LIMIT;
        while let Err(error) = self.try_sql("postgres", "SELECT 1") {
            assert!(Instant::now() < deadline, "PostgreSQL does not come back: {error}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// All it has printed.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn order(&self, order: &str) {
        let mut orders = self.orders.lock().unwrap();
        writeln!(orders.as_mut().unwrap(), "{order}").unwrap();
    }

    /// The same, or what `psql` says about it.
    ///
    /// # Errors
    /// When a statement fails, or nobody answers.
    pub fn try_sql(&self, database: &str, sql: &str) -> Result<String, String> {
        let mut psql = Command::new(&self.psql);
        psql.args(["-X", "-q", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", USER])
            .args(["-p", &self.port.to_string(), "-d", database, "-c", sql])
            .env("PGPASSWORD", &self.password)
            .env("PGCONNECT_TIMEOUT", "10")
            .stdin(Stdio::null());
        let output = psql.output().map_err(|e| format!("{}: {e}", self.psql.display()))?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    fn try_start(bin: &Path, settings: &[&str]) -> Result<Postgres, String> {
        let dir = tempfile::Builder::new()
            .prefix("plimsoll-pg-")
            .tempdir()
            .map_err(|e| format!("no temporary folder: {e}"))?;
        // The keeper removes it.
        let dir = dir.keep();
        let port = free_address().port();
        let log = dir.join("log");
        let (mut keeper, password) = keep(bin, &dir, port, settings).map_err(|e| format!("{}: {e}", dir.display()))?;
        let psql = bin.join("psql");
        let psql = if psql.exists() { psql } else { "psql".into() };
        let orders = Mutex::new(keeper.stdin.take());
        let databases = AtomicU32::new(0);
        let mut postgres = Postgres { port, password, psql, databases, log: log.clone(), keeper, orders };
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let written = fs::read_to_string(&log).unwrap_or_default();
            let error = match postgres.try_sql("postgres", "SELECT 1") {
                Ok(_) => return Ok(postgres),
                Err(error) => error,
            };
            let failed = written.contains("FATAL:") && !written.contains("the database system is starting up");
            let ended = matches!(postgres.keeper.try_wait(), Ok(Some(_)) | Err(_));
            if failed || ended || Instant::now() > deadline {
                return Err(format!("{error}\n{written}"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // The end of its input tells the keeper to stop the cluster.
        drop(self.orders.lock().unwrap().take());
        let _ = self.keeper.wait();
    }
}

/// Starts the keeper; returns it with the password of the superuser.
fn keep(bin: &Path, dir: &Path, port: u16, settings: &[&str]) -> io::Result<(Child, String)> {
    // PostgreSQL refuses to run as root.
    let user = if Uid::effective().is_root() { Some(unprivileged()?) } else { None };
    let mut random = [0; 16];
    fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
    let password: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(dir.join("password"), &password)?;
    fs::set_permissions(dir.join("password"), fs::Permissions::from_mode(0o600))?;
    let log = fs::File::create(dir.join("log"))?;
    let mut shell = Command::new("sh");
    shell
        .args(["-c", KEEPER, "keeper"])
        .args([dir, bin])
        .arg(port.to_string())
        .args(settings)
        .current_dir(dir)
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(log.try_clone()?)
        .stderr(log)
        // An interrupt from the terminal ends the tests, and by that the keeper, in order.
        .process_group(0);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
        shell.env_remove(name);
    }
    if let Some(user) = user {
        for path in [dir.to_path_buf(), dir.join("password"), dir.join("log")] {
            chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
        }
        shell.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    Ok((shell.spawn()?, password))
}

fn unprivileged() -> io::Result<User> {
    for name in ["postgres", "nobody"] {
        if let Some(user) = User::from_name(name)? {
            return Ok(user);
        }
    }
    Err(io::Error::other("tests run as root need a user `postgres` or `nobody` to run PostgreSQL as"))
}

/// The folder with `initdb` and `postgres`: that on PATH, or of the newest version installed.
fn find_bin() -> Option<PathBuf> {
    let on_path =
        std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect::<Vec<_>>()).unwrap_or_default();
    let mut versions: Vec<(u32, PathBuf)> = ["/usr/lib/postgresql", "/usr/local/lib/postgresql", "/opt/homebrew/opt"]
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten()
        .filter_map(Result::ok)
        .filter_map(|entry| Some((entry.file_name().to_string_lossy().parse().ok()?, entry.path().join("bin"))))
        .collect();
    versions.sort();
    let installed = versions.into_iter().rev().map(|(_, bin)| bin);
    let bin = on_path
        .into_iter()
        .chain(installed)
        .find(|bin| bin.join("initdb").exists() && bin.join("postgres").exists())?;
    // A link on PATH leads to the folder that has all the programs.
    fs::canonicalize(bin.join("initdb")).ok()?.parent().map(Path::to_path_buf)
}
