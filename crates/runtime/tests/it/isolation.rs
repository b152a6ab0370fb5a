//! What a command of one app can reach of another's, of the server's and of the machine: tried by the command itself.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use domain::limits::Limits;
use plimsoll_tests::can_test;
use runtime::isolation::ownership;
use runtime::{Command, Executor, Exit, Host, Sandbox, Users};
use tokio_util::sync::CancellationToken;

/// A data folder with two apps in it.
pub(crate) struct Ground {
    dir: tempfile::TempDir,
    pub(crate) host: Host,
    pub(crate) executor: Executor,
}

pub(crate) const FIRST: u32 = 1_950_000_000;

/// These tests are about what root does. As anybody else they can only look at what is left.
pub(crate) fn is_root() -> bool {
    can_test(nix::unistd::geteuid().is_root(), "users, mount namespaces and control groups without root")
}

impl Ground {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(dir.path().join("master.key"), "KEY-OF-ALL").unwrap();
        fs::set_permissions(dir.path().join("master.key"), fs::Permissions::from_mode(0o600)).unwrap();
        let users: Users = format!("{FIRST}-{}", FIRST + 9).parse().unwrap();
        let host = Host::new(dir.path(), Some(users), &[]);
        let executor = Executor::new(dir.path());
        Self { dir, host, executor }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap()
    }

    /// Workspace of an app, with a folder for the source, a home and one for temporary files.
    pub(crate) fn workspace(&self, app: u32) -> (PathBuf, Sandbox) {
        let user = self.host.user(app).unwrap();
        let dir = self.data().join(format!("workspaces/{app}"));
        for folder in ["source", "tmp"] {
            ownership::folder_for(&dir.join(folder), user).unwrap();
            self.host.open_way(&dir.join(folder)).unwrap();
        }
        let sandbox = self.host.sandbox(user, Limits::default());
        (dir.join("source"), sandbox.writing(dir.join("source")).with_temp(dir.join("tmp")))
    }

    pub(crate) fn command(&self, app: u32, line: &str, limits: Limits) -> Command {
        let (directory, sandbox) = self.workspace(app);
        Command {
            command: line.to_owned(),
            directory,
            env: BTreeMap::from([("SECRET".to_owned(), format!("of-app-{app}"))]),
            limit: Duration::from_secs(60),
            marker: format!("work-{app}"),
            sandbox: Some(Sandbox { limits, ..sandbox }),
        }
    }

    pub(crate) async fn run(&self, command: &Command) -> (Result<Exit, runtime::ExecError>, Vec<String>) {
        let mut lines = Vec::new();
        let ended = self.executor.run(command, |l| lines.push(l.text), &CancellationToken::new()).await;
        (ended, lines)
    }

    /// Each line of the script is tried on its own; what it prints, by line.
    pub(crate) async fn try_all(&self, app: u32, lines: &[&str]) -> Vec<String> {
        let mut answers = Vec::new();
        for line in lines {
            let command = self.command(app, &format!("{{ {line}; }} 2>&1"), Limits::default());
            let (ended, said) = self.run(&command).await;
            answers.push(format!("{} [{}]", said.join("|"), ended.map_or_else(|e| e.to_string(), |e| e.to_string())));
        }
        answers
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_an_unprivileged_user_of_its_app() {
    if !is_root() {
        return;
    }
    let ground = Ground::new();
    let user = FIRST + 3;
    let said = ground
        .try_all(
            3,
            &[
                "id -u; id -g; id -G",
                "grep -E '^(CapEff|CapPrm|CapAmb|NoNewPrivs)' /proc/self/status | tr -d '\\t'",
                "touch mine && stat -c '%u:%g' mine",
                "echo loud > /dev/stderr; echo said > /dev/stdout; echo > /dev/null && test -c /dev/urandom",
                "ulimit -c",
                "cat /etc/shadow",
                "touch /usr/mine /etc/mine /mine",
                "kill -0 1",
                "mount -t tmpfs none /tmp",
                "env | grep -c '^SECRET=of-app-3$'; env | grep -cE '^(CARGO|RUST|PYENV)'",
            ],
        )
        .await;
    assert_eq!(said[0], format!("{user}|{user}|{user} [exit status 0]"));
    let none = "0".repeat(16);
    assert_eq!(said[1], format!("CapPrm:{none}|CapEff:{none}|CapAmb:{none}|NoNewPrivs:1 [exit status 0]"));
    assert_eq!(said[2], format!("{user}:{user} [exit status 0]"));
    assert_eq!(said[3], "loud|said [exit status 0]");
    assert_eq!(said[4], "0 [exit status 0]");
    for (i, failure) in [(5, "ermission denied"), (6, "ermission denied"), (8, "mount")] {
        assert!(said[i].contains(failure) && !said[i].contains("[exit status 0]"), "{}", said[i]);
    }
    assert!(!said[7].contains("[exit status 0]"), "{}", said[7]);
    assert!(said[9].starts_with("1|0 "), "{}", said[9]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_server_or_of_another_app_is_there() {
    if !is_root() {
        return;
    }
    let ground = Ground::new();
    let data = ground.data();
    // What the other app has, open to everybody as far as its own folder goes.
    let (other, _) = ground.workspace(1);
    fs::write(other.join("other"), "OF-THE-OTHER").unwrap();
    fs::set_permissions(other.join("other"), fs::Permissions::from_mode(0o666)).unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o777)).unwrap();
    fs::write(std::env::temp_dir().join(format!("plimsoll-iso-{}", std::process::id())), "OF-THE-MACHINE").unwrap();
    // A process of the other app, with a secret.
    let sleeper = ground.command(1, "echo up; exec sleep 60", Limits::default());
    let up = std::sync::Arc::new(std::sync::Mutex::new(false));
    let (executor, seen) = (ground.executor.clone(), up.clone());
    let sleeping = tokio::spawn(async move {
        executor.run(&sleeper, |_| *seen.lock().unwrap() = true, &CancellationToken::new()).await
    });
    crate::support::until(|| *up.lock().unwrap(), "the other app");
    let pid = crate::support::marked("SECRET=of-app-1").into_iter().min().unwrap();

    let data = data.display();
    let said = ground
        .try_all(
            2,
            &[
                &format!("cat {data}/master.key"),
                &format!("cat {data}/workspaces/1/source/other"),
                &format!("ls {data}"),
                &format!("ls {data}/workspaces/1"),
                &format!("tr '\\0' ' ' < /proc/{pid}/environ"),
                &format!("kill -9 {pid}"),
                "ls -A /root /home; cat /root/.ssh/* /root/.npmrc",
                "cat /tmp/plimsoll-iso-*",
                "ln -s /etc/passwd l && ln /etc/passwd h",
            ],
        )
        .await;
    for (i, answer) in said.iter().enumerate() {
        assert!(!answer.contains("[exit status 0]") || i == 6, "{i}: {answer}");
        for secret in ["KEY-OF-ALL", "OF-THE", "of-app-1", "BEGIN"] {
            assert!(!answer.contains(secret), "{i}: {answer}");
        }
    }
    assert!(crate::support::alive(pid), "killed by a stranger");
    sleeping.abort();
    fs::remove_file(std::env::temp_dir().join(format!("plimsoll-iso-{}", std::process::id()))).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn tmp_is_its_own_and_ordinary_programs_run() {
    if !is_root() {
        return;
    }
    let ground = Ground::new();
    let (source, sandbox) = ground.workspace(2);
    let shared = Path::new("/dev/shm").join(format!("plimsoll-iso-{}", std::process::id()));
    fs::write(&shared, "OF-THE-MACHINE").unwrap();
    let rustup = std::env::var_os("RUSTUP_HOME").map(PathBuf::from);
    let rustup = rustup.unwrap_or_else(|| std::env::home_dir().unwrap().join(".rustup"));
    let said = ground
        .try_all(
            2,
            &[
                "echo here > /tmp/mine && cat /tmp/mine",
                "python3 -c 'import ssl, tempfile, multiprocessing; multiprocessing.Lock(); print(open(tempfile.mkstemp()[1]).read() == \"\")'",
                "node -e 'console.log(require(\"os\").tmpdir() !== \"\", require(\"fs\").readFileSync(\"/etc/resolv.conf\").length >= 0)'",
                "sh -c 'echo $((6 * 7)) | sort | tee out' && cat < out > /dev/null",
                &format!("RUSTUP_HOME={} cargo --version | grep -c '^cargo'", rustup.display()),
                "getent hosts localhost > /dev/null && echo resolved",
                &format!("test ! -e {} && echo here > /dev/shm/plimsoll-iso-mine && cat /dev/shm/*mine", shared.display()),
                "ls /dev/shm | grep -c plimsoll-iso; true",
            ],
        )
        .await;
    fs::remove_file(&shared).unwrap();
    let facts = ground.host.facts().clone();
    if can_test(facts.mounts, "a /tmp of its own without mount namespaces") {
        assert_eq!(said[0], "here [exit status 0]");
        assert_eq!(fs::read_to_string(sandbox.temp.clone().unwrap().join("mine")).unwrap(), "here\n");
        assert_eq!(said[6], "here [exit status 0]");
        assert!(!Path::new("/dev/shm/plimsoll-iso-mine").exists());
        assert_eq!(said[7], "0 [exit status 0]", "each command has its own");
        let limits = Limits { memory: "16MiB".parse().ok(), ..Limits::default() };
        let (ended, _) = ground.run(&ground.command(2, "head -c 100M /dev/zero > /dev/shm/much", limits)).await;
        assert!(!ended.is_ok_and(|exit| exit.success()), "it counts as memory");
    }
    assert_eq!(said[1], "True [exit status 0]");
    assert_eq!(said[2], "true true [exit status 0]");
    assert_eq!(said[3], "42 [exit status 0]");
    assert_eq!(said[4], "1 [exit status 0]", "a toolchain in a closed home");
    assert_eq!(said[5], "resolved [exit status 0]");

    // A link in its `/tmp`, where folders are put up for the next command: it is not followed.
    let first =
        Path::new("/").join(ground.data().strip_prefix("/tmp").unwrap_or(Path::new("none")).iter().next().unwrap());
    let trap = sandbox.temp.clone().unwrap().join(first.strip_prefix("/").unwrap());
    let outside = ground.data().join("outside");
    fs::create_dir(&outside).unwrap();
    if facts.mounts && trap.exists() {
        fs::remove_dir_all(&trap).unwrap();
        symlink(&outside, &trap).unwrap();
        let (ended, _) = ground.run(&ground.command(2, "true", Limits::default())).await;
        assert!(ended.is_err(), "{ended:?}");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    }
    assert!(source.join("out").exists());
}

/// In a container there may be no mount namespaces: users, permissions and Landlock have to do.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_view_of_its_own_it_still_reads_nothing_of_others() {
    if !is_root() {
        return;
    }
    let ground = Ground::new();
    let data = ground.data();
    let (other, _) = ground.workspace(1);
    fs::write(other.join("other"), "OF-THE-OTHER").unwrap();
    let (own, _) = ground.workspace(2);
    for folder in own.ancestors().skip(1).take_while(|f| f.starts_with(&data)) {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o711)).unwrap();
    }
    let run = async |line: String, landlock: bool| {
        let mut command = ground.command(2, &line, Limits::default());
        let sandbox = command.sandbox.as_mut().unwrap();
        sandbox.view = false;
        if !landlock {
            sandbox.write.push("/".into());
        }
        let (ended, said) = ground.run(&command).await;
        (ended.unwrap(), said.join("|"))
    };
    for landlock in [true, false] {
        assert!(run("touch mine; cat mine".to_owned(), landlock).await.0.success());
        for secret in ["master.key", "workspaces/1/source/other"] {
            let (ended, said) = run(format!("cat {}/{secret} 2>&1", data.display()), landlock).await;
            assert!(!ended.success() && said.contains("ermission denied"), "{said}");
        }
        let (ended, said) = run(format!("ls {} 2>&1", data.display()), landlock).await;
        assert!(!ended.success(), "{said}");
    }
    if can_test(ground.host.facts().landlock > 0, "Landlock, which the kernel lacks") {
        assert!(!run("echo x > /tmp/plimsoll-iso-not-mine".to_owned(), true).await.0.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn as_the_servers_own_user_landlock_keeps_it_in_its_folders() {
    let ground = Ground::new();
    if !can_test(ground.host.facts().landlock > 0, "Landlock, which the kernel lacks") {
        return;
    }
    let data = ground.data();
    let mut command = ground.command(4, "", Limits::default());
    ownership::folder_for(&command.directory, Some(nix::unistd::geteuid().as_raw())).unwrap();
    let sandbox = command.sandbox.as_mut().unwrap();
    (sandbox.user, sandbox.view, sandbox.cgroups) = (None, false, None);
    let run = async |line: String| {
        let mut command = command.clone();
        command.command = line;
        let (ended, said) = ground.run(&command).await;
        (ended.unwrap(), said.join("|"))
    };
    assert!(run("echo x > mine && cat mine && grep -q 'NoNewPrivs:.1' /proc/self/status".to_owned()).await.0.success());
    let (ended, said) = run(format!("cat {}/master.key 2>&1", data.display())).await;
    assert!(!ended.success() && !said.contains("KEY"), "{said}");
    assert!(!run("touch /usr/local/mine 2>&1".to_owned()).await.0.success());
}

/// What a server that isn't root does: this test, again, as somebody else.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_root_has_a_view_of_its_own_all_the_same() {
    use std::os::unix::process::CommandExt;
    if nix::unistd::geteuid().is_root() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        // Cargo's folder may be closed to others.
        let copy = dir.path().join("it");
        fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
        let mut again = std::process::Command::new(copy);
        again.args(["whoever_is_not_root", "--nocapture"]).env("TMPDIR", dir.path()).current_dir("/");
        let done = again.uid(FIRST + 5).gid(FIRST + 5).output().unwrap();
        let said = [done.stdout, done.stderr].map(|out| String::from_utf8_lossy(&out).into_owned()).concat();
        assert!(done.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let ground = Ground::new();
    let facts = ground.host.facts();
    assert!(!facts.root && !facts.users && facts.cgroups.is_none(), "{facts:?}");
    let data = ground.data();
    let said = ground
        .try_all(
            0,
            &[
                "id -u",
                "echo mine > /tmp/here && cat $PWD/../tmp/here",
                &format!("cat {}/master.key", data.display()),
                &format!("ls {}", data.display()),
                "grep -E '^(CapEff|NoNewPrivs)' /proc/self/status | tr -d '\t'",
            ],
        )
        .await;
    assert_eq!(said[0], format!("{} [exit status 0]", nix::unistd::geteuid()));
    if can_test(facts.mounts, "views without user namespaces") {
        assert_eq!(said[1], "mine [exit status 0]");
    }
    assert!(!said[2].contains("KEY") && !said[2].contains("[exit status 0]"), "{}", said[2]);
    // On the way to what is its own, if anything.
    assert!(!said[3].contains("master.key"), "{}", said[3]);
    assert_eq!(said[4], format!("CapEff:{}|NoNewPrivs:1 [exit status 0]", "0".repeat(16)));
}

/// Two instances of an app have one user, and their secrets may differ.
#[tokio::test(flavor = "multi_thread")]
async fn the_environment_of_another_process_of_the_same_user_is_closed() {
    use std::os::unix::process::CommandExt;
    let ground = Ground::new();
    let landlock = ground.host.facts().landlock;
    if !is_root() || !can_test(landlock > 0, "Landlock, which the kernel lacks") {
        return;
    }
    let mut other = std::process::Command::new("sleep");
    other.arg("60").env("SECRET", "of-the-neighbour").uid(FIRST + 4).gid(FIRST + 4);
    let mut other = other.spawn().unwrap();
    let pid = other.id();
    let environ = format!("tr '\\0' ' ' < /proc/{pid}/environ 2>&1; test -d /proc/{pid} && echo there");
    let (_, said) = ground.run(&ground.command(4, &environ, Limits::default())).await;
    assert!(said.iter().any(|line| line == "there") && !said.concat().contains("of-the-neighbour"), "{said:?}");
    let (_, said) = ground.run(&ground.command(4, &format!("kill {pid} 2>&1"), Limits::default())).await;
    if can_test(landlock >= 6, "signals to others of the same user, as Landlock is older than 6") {
        assert!(said.concat().contains("not permitted"), "{said:?}");
    }
    other.kill().unwrap();
    other.wait().unwrap();
}

/// The deployment's budget is 150 ms, with several spawns in it.
#[tokio::test(flavor = "multi_thread")]
async fn isolation_costs_milliseconds() {
    let ground = Ground::new();
    let command = ground.command(5, "true", Limits { memory: "512MiB".parse().ok(), ..Limits::default() });
    let plain = Command { sandbox: None, ..command.clone() };
    let mut took = BTreeMap::new();
    // Turn and turn about, so that a busy machine is busy for both.
    for _ in 0..20 {
        for (name, command) in [("plain", &plain), ("isolated", &command)] {
            let begun = Instant::now();
            ground.run(command).await.0.unwrap();
            took.entry(name).or_insert_with(Vec::new).push(begun.elapsed());
        }
    }
    // What it costs where nothing else is in the way.
    let quickest = |name: &str| took[name].iter().min().copied().unwrap();
    eprintln!("a command: plain {:?}, isolated {:?}", quickest("plain"), quickest("isolated"));
    assert!(quickest("isolated") < quickest("plain") + Duration::from_millis(60));
}
