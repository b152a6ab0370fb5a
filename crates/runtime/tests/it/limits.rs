//! Hostile commands and apps: each ends in a clear error, and everything else keeps running.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use domain::health::{HealthCheck, Observation, Probe};
use domain::instance::InstanceState;
use domain::limits::{Limits, Tasks};
use runtime::isolation::ownership;
use runtime::{Exceeded, ExecError, Exit, InstanceSpec, RestartPolicy, Sandbox, Target, observe};

use crate::isolation::{FIRST, Ground, is_root};
use crate::support::{Machine, NONE, key, kill, marked, runtime_in, until};

/// Two of itself, for ever; one that has lost its marks, in a session of its own.
const BOMB: &str =
    "b() { b | b & }; (env -i PATH=\"$PATH\" setsid sh -c 'b() { b | b & }; b; sleep 1000' &); b; sleep 1000";

/// As many bytes as there are, in steps, and kept.
const HOG: &str =
    "exec python3 -c 'import time\nx = []\nwhile len(x) < 4096: x.append(b\"x\" * (1 << 20))\ntime.sleep(60)'";

fn exceeded(ended: Result<Exit, ExecError>) -> Exceeded {
    match ended {
        Err(ExecError::Exceeded(exceeded)) => exceeded,
        other => panic!("expected a limit, not {other:?}"),
    }
}

/// Nobody of this user is left.
fn is_quiet(user: u32) -> bool {
    let pids = fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
    let of = |pid: i32| fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    pids.map(of).all(|status| {
        let owner = status.lines().find_map(|l| l.strip_prefix("Uid:")?.split_whitespace().next()?.parse::<u32>().ok());
        owner != Some(user) || status.contains("State:\tZ")
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_bomb_is_ended_whole_and_its_neighbour_runs_on() {
    if !is_root() {
        return;
    }
    let ground = Ground::new();
    let limits = Limits { processes: Tasks::new(64), ..Limits::default() };
    let bomb = ground.command(1, BOMB, limits);
    let neighbour = ground.command(2, "for i in 1 2 3 4 5; do sh -c 'sleep 0.1'; done; echo well", limits);
    let begun = Instant::now();
    let ((bombed, _), (neighbour, said)) = tokio::join!(ground.run(&bomb), ground.run(&neighbour));
    assert_eq!(exceeded(bombed), Exceeded::Processes { limit: 64 });
    assert!(neighbour.unwrap().success());
    assert_eq!(said, ["well"]);
    assert!(begun.elapsed() < Duration::from_secs(90), "{:?}", begun.elapsed());
    until(|| is_quiet(bomb.sandbox.as_ref().unwrap().user.unwrap()), "the bomb to be gone");
    assert_no_groups(&ground.data());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_memory_hog_is_told_as_one() {
    if !is_root() {
        return;
    }
    let ground = Ground::new();
    let limits = Limits { memory: "64MiB".parse().ok(), ..Limits::default() };
    let (ended, _) = ground.run(&ground.command(1, HOG, limits)).await;
    let exceeded = exceeded(ended);
    assert_eq!(exceeded, Exceeded::Memory { limit: 64 << 20 });
    assert_eq!(exceeded.to_string(), "used more than its 64MiB of memory");
    // In a child, of a shell that would go on.
    let (ended, said) = ground
        .run(&ground.command(
            1,
            &format!("sh -c '{}'; echo on; sleep 30", "x=y; head -c 200M /dev/zero | tail"),
            limits,
        ))
        .await;
    assert!(matches!(ended, Err(ExecError::Exceeded(Exceeded::Memory { .. }))), "{ended:?} {said:?}");
    let (ended, _) = ground.run(&ground.command(1, "true", limits)).await;
    assert!(ended.unwrap().success());
    assert_no_groups(&ground.data());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_control_groups_memory_and_processes_are_limited_all_the_same() {
    if !is_root() {
        return;
    }
    let ground = Ground::new();
    let limits = Limits { memory: "64MiB".parse().ok(), processes: Tasks::new(30), ..Limits::default() };
    let mut hog = ground.command(6, HOG, limits);
    hog.sandbox.as_mut().unwrap().cgroups = None;
    let (ended, said) = ground.run(&hog).await;
    assert!(!ended.unwrap().success() && said.concat().contains("MemoryError"), "{said:?}");
    let mut bomb = ground.command(6, "i=0; while [ $i -lt 200 ]; do sleep 5 & i=$((i + 1)); done; echo all", limits);
    bomb.sandbox.as_mut().unwrap().cgroups = None;
    let (_, said) = ground.run(&bomb).await;
    assert!(!said.concat().contains("all"), "{said:?}");
    until(|| is_quiet(bomb.sandbox.as_ref().unwrap().user.unwrap()), "the bomb to be gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_filler_is_ended_whatever_the_size_of_its_files() {
    let ground = Ground::new();
    let limits = Limits { disk: "8MiB".parse().ok(), ..Limits::default() };
    let run = async |line: &str| {
        let mut command = ground.command(7, line, limits);
        if !nix::unistd::geteuid().is_root() {
            command.sandbox.as_mut().unwrap().cgroups = None;
        }
        let ended = ground.run(&command).await.0;
        fs::remove_dir_all(ground.data().join("workspaces/7")).unwrap();
        ended
    };
    match exceeded(run("exec head -c 100M /dev/zero > large").await) {
        Exceeded::File { limit } | Exceeded::Disk { limit, .. } => assert_eq!(limit, 8 << 20),
        other => panic!("{other:?}"),
    }
    let many = "i=0; while :; do i=$((i + 1)); mkdir -p d$((i % 9)); printf '%08192d' $i > d$((i % 9))/$i; done";
    match exceeded(run(many).await) {
        Exceeded::Disk { used, limit } => assert!(limit == 8 << 20 && used > limit && used < 400 << 20, "{used}"),
        other => panic!("{other:?}"),
    }
    // Who isn't root knows its processes by no group.
    if is_root() {
        let held = "exec python3 -c 'import os, time\nheld = []\nfor name in \"abcd\":\n    \
                    held.append(open(name, \"wb\"))\n    os.unlink(name)\n    held[-1].write(b\"x\" * (4 << 20))\ntime.sleep(60)'";
        assert!(matches!(exceeded(run(held).await), Exceeded::Disk { .. }));
    }
    assert!(run("head -c 1M /dev/zero > small").await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn cpu_beyond_the_share_is_not_given() {
    if !is_root() {
        return;
    }
    let ground = Ground::new();
    let cpu = ground.host.facts().cgroups.as_ref().is_some_and(|groups| groups.cpu.is_some());
    if !plimsoll_tests::can_test(cpu, "cores without a control group of cpu") {
        return;
    }
    let limits = Limits { cpu: domain::limits::Cores::new(0.1), ..Limits::default() };
    let spin = "exec python3 -c 'import time\nend = time.monotonic() + 2\nwhile time.monotonic() < end: pass\nprint(time.process_time())'";
    let (ended, said) = ground.run(&ground.command(1, spin, limits)).await;
    assert!(ended.unwrap().success());
    let used: f64 = said[0].parse().unwrap();
    assert!(used < 0.8, "{used} s of 2 s at a tenth of a core");
}

fn assert_no_groups(data: &Path) {
    let scope = data.file_name().unwrap().to_string_lossy().replace('.', "");
    for controller in ["memory", "pids", "cpu", ""] {
        let parent = Path::new("/sys/fs/cgroup").join(controller).join("plimsoll");
        for ours in fs::read_dir(parent).into_iter().flatten().flatten() {
            assert!(!ours.file_name().to_string_lossy().starts_with(&scope), "{ours:?}");
        }
    }
}

fn sandboxed(machine: &Machine, ground: &Ground, command: &str, limits: Limits) -> InstanceSpec {
    let user = ground.host.user(8).unwrap();
    ownership::seal(&machine.app(), user).unwrap();
    let sandbox = ground.host.sandbox(user, limits).reading(machine.app().canonicalize().unwrap());
    InstanceSpec { sandbox: Some(sandbox), ..machine.spec(command) }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_has_a_home_of_its_own_and_a_release_it_cannot_change() {
    if !is_root() {
        return;
    }
    for view in [true, false] {
        own_home(view).await;
    }
}

async fn own_home(view: bool) {
    let (machine, ground) = (Machine::new(), Ground::new());
    fs::write(machine.app().join("code"), "as released\n").unwrap();
    if !view {
        fs::set_permissions(machine.dir.path(), fs::Permissions::from_mode(0o711)).unwrap();
    }
    let script = "id -u; cat code; touch code new 2>&1 | wc -l; touch $HOME/kept $TMPDIR/gone && echo written; \
                  cat $HOME/../spec.json $HOME/../status.json ../instances/*/log/current 2>&1 | grep -c enied; sleep 1000";
    let mut spec = sandboxed(&machine, &ground, script, Limits::default());
    spec.sandbox.as_mut().unwrap().view &= view;
    let name = spec.key.name();
    machine.runtime.start(&spec).await.unwrap();
    machine.wait_for_line(&name, "written");
    until(|| machine.text(&name).len() >= 5, &format!("the last answer after {:?}", machine.text(&name)));
    let text = machine.text(&name);
    let user = spec.sandbox.as_ref().unwrap().user.unwrap();
    assert_eq!(
        text[..4],
        [user.to_string(), "as released".to_owned(), "2".to_owned(), "written".to_owned()],
        "{text:?}"
    );
    assert!(fs::read_to_string(machine.app().join("code")).unwrap() == "as released\n");
    assert!(machine.instances().join(&name).join("home/kept").exists());
    // Restarted by its supervisor, it is in the same sandbox.
    let pid = machine.running_pid(&name).unwrap();
    kill(pid, 9);
    until(|| machine.running_pid(&name).is_some_and(|now| now != pid), "the restart");
    until(|| machine.text(&name).iter().filter(|l| **l == user.to_string()).count() == 2, "the second run");
    machine.runtime.remove(&name).await.unwrap();
    until(|| is_quiet(user), "the last to be reaped");
}

/// What a health command says, which is the app's user and no more.
async fn health(ground: &Ground, spec: &InstanceSpec, sandbox: Option<Sandbox>) -> Observation {
    let key = ground.data().join("master.key");
    let command = format!("test $(id -u) = {} && ! cat {} && cat /dev/shm/state", FIRST + 8, key.display());
    let target = Target {
        addr: None,
        host: "localhost".to_owned(),
        directory: spec.directory.clone(),
        env: spec.env.clone(),
        secrets: spec.secrets.clone(),
        marker: "probe".to_owned(),
        sandbox,
        executor: ground.executor.clone(),
    };
    observe(&HealthCheck::new(Probe::Command { command }), &target).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_health_command_sees_the_memory_that_its_instance_shares() {
    if !is_root() {
        return;
    }
    let (machine, ground) = (Machine::new(), Ground::new());
    let script = "echo well > /dev/shm/state; echo up; exec sleep 1000";
    let spec = sandboxed(&machine, &ground, script, Limits::default());
    let name = spec.key.name();
    machine.runtime.start(&spec).await.unwrap();
    machine.wait_for_line(&name, "up");
    let before = machine.runtime.sandbox(&spec);
    assert_eq!(health(&ground, &spec, before.clone()).await, Observation::Passed);
    // That memory has gone with the app; a probe that was aimed at it looks for itself.
    let pid = machine.running_pid(&name).unwrap();
    kill(pid, 9);
    until(|| machine.running_pid(&name).is_some_and(|now| now != pid), "the restart");
    until(|| machine.text(&name).iter().filter(|l| *l == "up").count() == 2, "the second run");
    assert!(matches!(health(&ground, &spec, before).await, Observation::Failed(why) if why.contains("/dev/shm/state")));
    assert_eq!(health(&ground, &spec, machine.runtime.sandbox(&spec)).await, Observation::Passed);
    machine.runtime.remove(&name).await.unwrap();
    until(|| is_quiet(spec.sandbox.as_ref().unwrap().user.unwrap()), "the last to be reaped");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_eats_memory_is_told_as_one() {
    if !is_root() {
        return;
    }
    let (machine, ground) = (Machine::new(), Ground::new());
    let limits = Limits { memory: "64MiB".parse().ok(), ..Limits::default() };
    let mut spec = sandboxed(&machine, &ground, HOG, limits);
    spec.restart = RestartPolicy::Never;
    let name = spec.key.name();
    machine.runtime.start(&spec).await.unwrap();
    until(|| matches!(machine.runtime.status(&name).unwrap().state, InstanceState::Stopped { .. }), "the end");
    let exit = machine.runtime.last_exit(&name).unwrap();
    assert_eq!(exit, "killed: it used more than its 64MiB of memory");
    assert!(machine.text(&name).iter().any(|l| l.contains("64MiB of memory")), "{:?}", machine.text(&name));
    machine.runtime.remove(&name).await.unwrap();
    assert_no_groups(&ground.data());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_forks_or_fills_the_disk_is_held() {
    if !is_root() {
        return;
    }
    let (machine, ground) = (Machine::new(), Ground::new());
    let limits = Limits { processes: Tasks::new(40), disk: "8MiB".parse().ok(), ..Limits::default() };
    let filler = "i=0; while :; do i=$((i + 1)); printf '%08192d' $i > $TMPDIR/$i; done";
    let mut spec = sandboxed(&machine, &ground, filler, limits);
    spec.restart = RestartPolicy::Never;
    let name = spec.key.name();
    machine.runtime.start(&spec).await.unwrap();
    until(|| matches!(machine.runtime.status(&name).unwrap().state, InstanceState::Stopped { .. }), "the end");
    let exit = machine.runtime.last_exit(&name).unwrap();
    assert!(exit.contains("of disk, more than its 8MiB"), "{exit}");
    machine.runtime.remove(&name).await.unwrap();

    let spec = InstanceSpec { command: BOMB.to_owned(), ..spec };
    machine.runtime.start(&spec).await.unwrap();
    until(|| machine.text(&name).iter().any(|l| l.contains("more than its 40 processes")), "the refusal to be told");
    let begun = Instant::now();
    machine.runtime.remove(&name).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(90), "{:?}", begun.elapsed());
    until(|| is_quiet(spec.sandbox.as_ref().unwrap().user.unwrap()), "the last to be reaped");
    assert_no_groups(&ground.data());
}

/// A file system in memory, as large as one cares to fill.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: PathBuf, size: &str) -> Self {
        let options = format!("size={size},mode=700");
        let mut mount = std::process::Command::new("mount");
        assert!(mount.args(["-t", "tmpfs", "-o", &options, "none"]).arg(&at).status().unwrap().success());
        Self(at)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Also below what still runs after a failure.
        std::process::Command::new("umount").arg("--lazy").arg(&self.0).status().ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_grows_on_a_nearly_full_disk_is_ended_and_its_neighbour_is_not() {
    if !is_root() {
        return;
    }
    let (mut machine, ground) = (Machine::new(), Ground::new());
    if !plimsoll_tests::can_test(ground.host.facts().mounts, "a disk that is nearly full, without mounting one") {
        return;
    }
    let disk = Disk::mount(machine.instances(), "64m");
    machine.runtime = runtime_in(machine.dir.path());
    let limits = Limits { disk: "40MiB".parse().ok(), ..Limits::default() };
    let grows = "while [ ! -e $HOME/go ]; do sleep 0.02; done; \
                 while :; do head -c 8192 /dev/zero >> $TMPDIR/much; sleep 0.02; done";
    let mut grower = sandboxed(&machine, &ground, grows, limits);
    grower.restart = RestartPolicy::Never;
    let still = InstanceSpec { key: key("web", 1, 1), command: "exec sleep 1000".to_owned(), ..grower.clone() };
    for spec in [&grower, &still] {
        machine.runtime.start(spec).await.unwrap();
    }
    let (grower, still) = (grower.key.name(), still.key.name());
    let neighbour = machine.running_pid(&still);
    // Somebody else takes all but two of the 64 MiB; a twentieth is to be left. Both run on.
    fs::write(disk.0.join("others"), vec![0; 62 << 20]).unwrap();
    fs::write(disk.0.join(&grower).join("home/go"), "").unwrap();
    until(|| matches!(machine.runtime.status(&grower).unwrap().state, InstanceState::Stopped { .. }), "the end");
    let exit = machine.runtime.last_exit(&grower).unwrap();
    assert!(exit.starts_with("killed: it left only") && exit.contains("free on the disk"), "{exit}");
    assert!(neighbour.is_some() && machine.running_pid(&still) == neighbour);
    for name in [&grower, &still] {
        machine.runtime.remove(name).await.unwrap();
    }
    assert_no_groups(&ground.data());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_supervisor_leaves_in_the_group_is_found_there() {
    if !is_root() {
        return;
    }
    let (machine, ground) = (Machine::new(), Ground::new());
    let script = "(env -i PATH=\"$PATH\" LOST=mark-7711 setsid sh -c 'exec sleep 1000' &); echo up; exec sleep 1000";
    let spec = sandboxed(&machine, &ground, script, Limits::default());
    let name = spec.key.name();
    machine.runtime.start(&spec).await.unwrap();
    machine.wait_for_line(&name, "up");
    until(|| !marked("LOST=mark-7711").is_empty(), "the one without marks");
    kill(machine.supervisor_pid(&name), 9);
    until(|| machine.running_pid(&name).is_none(), "the app to die with it");
    machine.runtime.remove(&name).await.unwrap();
    assert_eq!(marked("LOST=mark-7711"), NONE);
    assert_no_groups(&ground.data());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_alone_ends_what_another_one_left_in_groups_of_commands() {
    if !is_root() {
        return;
    }
    let ground = Ground::new();
    let command = ground.command(1, "exec env -i LOST=mark-8812 /usr/bin/sleep 1000", Limits::default());
    let next_server = async {
        crate::support::until(|| !marked("LOST=mark-8812").is_empty(), "the command");
        // One that starts beside others touches nothing.
        let host = runtime::Host::new(&ground.data(), None, &[]);
        assert_ne!(marked("LOST=mark-8812"), NONE);
        assert_eq!(host.sweep(), 1);
    };
    let ((ended, _), _) = tokio::join!(ground.run(&command), next_server);
    assert_eq!(ended.unwrap(), Exit::Signal(9));
    assert_no_groups(&ground.data());
}

/// A process of its own session, without the marks by which leftovers are known.
#[tokio::test(flavor = "multi_thread")]
async fn a_build_leaves_nothing_behind_whatever_it_has_done_to_its_environment() {
    if !is_root() {
        return;
    }
    let ground = Ground::new();
    let script = "setsid env -i LOST=mark-5501 /usr/bin/sleep 1000 & until grep -q '^sleep' /proc/$!/comm; do :; done";
    let (ended, said) = ground.run(&ground.command(1, script, Limits::default())).await;
    assert!(ended.unwrap().success(), "{said:?}");
    assert_eq!(marked("LOST=mark-5501"), NONE);
    assert_no_groups(&ground.data());
}

/// By its group, as nothing else is known of it when the server that ran it is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_finds_what_has_lost_its_marks() {
    if !is_root() {
        return;
    }
    let ground = Ground::new();
    let others = std::collections::BTreeSet::from(["work-1".to_owned()]);
    for all in [false, true] {
        let command = ground.command(1, "exec env -i LOST=mark-6602 /usr/bin/sleep 1000", Limits::default());
        let sweep = async {
            until(|| !marked("LOST=mark-6602").is_empty(), "the command");
            assert_eq!(ground.executor.sweep("work").await, 0, "another piece of work");
            assert_eq!(ground.executor.sweep_all_except(&others).await, 0, "it is to be kept");
            match all {
                false => ground.executor.sweep("work-1").await,
                true => ground.executor.sweep_all_except(&Default::default()).await,
            }
        };
        let ((ended, _), swept) = tokio::join!(ground.run(&command), sweep);
        assert_eq!((ended.unwrap(), swept), (Exit::Signal(9), 1));
        assert_eq!(marked("LOST=mark-6602"), NONE);
    }
    assert_no_groups(&ground.data());
}
