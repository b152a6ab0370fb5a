//! Output of real apps on its way into the log and out of it.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use runtime::{Backoff, LogLimits, RestartPolicy, Stream};

use crate::support::{Machine, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_million_lines_are_neither_lost_nor_slow() {
    let machine = Machine::new();
    let mut spec = machine.spec("seq 1000000; echo done >&2; sleep 1000");
    spec.log = LogLimits { bytes: 4 << 20, files: 20 };
    let name = spec.key.name();
    let begin = Instant::now();
    machine.runtime.start(&spec).await.unwrap();
    let last = || machine.runtime.logs().tail(&name, 3).unwrap();
    until(|| last().iter().any(|l| l.text == "1000000"), "the last line");
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(120), "{took:?}");

    let logs = machine.runtime.logs();
    let (mut next, mut after) = (1_u64, None);
    loop {
        let lines = logs.read(&name, after, 50_000).unwrap();
        let Some(last) = lines.last() else { break };
        after = Some(last.seq);
        for line in lines.iter().filter(|l| l.stream == Stream::Stdout) {
            assert_eq!(line.text, next.to_string());
            next += 1;
        }
    }
    assert_eq!(next, 1_000_001);
    assert_eq!(after, Some(1_000_001), "each line has a number of its own");
    eprintln!("1,000,000 lines in {took:?}");
    let memory = fs::read_to_string(format!("/proc/{}/smaps_rollup", machine.supervisor_pid(&name))).unwrap();
    let rows = ["Pss:", "Private_Dirty:", "Rss:"];
    memory.lines().filter(|l| rows.iter().any(|r| l.starts_with(r))).for_each(|l| eprintln!("{l}"));
    let private =
        memory.lines().find_map(|l| l.strip_prefix("Private_Dirty:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    assert!(private.unwrap() < 2048, "{memory}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_misses_nothing_across_rotations_and_restarts() {
    let machine = Machine::new();
    // 200 lines in each run, and the file is full after some 60.
    let mut spec = machine.spec("for i in $(seq 200); do echo $i; [ $((i % 50)) = 0 ] && sleep 0.1; done; exit 1");
    spec.log = LogLimits { bytes: 2000, files: 1000 };
    let backoff = Backoff {
        base: Duration::from_millis(50),
        cap: Duration::from_millis(50),
        loop_exits: 100,
        ..Backoff::default()
    };
    spec.restart = RestartPolicy::Always(backoff);
    let name = spec.key.name();
    machine.runtime.start(&spec).await.unwrap();
    let mut follower = machine.runtime.logs().follow(&name, None);
    let (mut lines, mut ends) = (Vec::new(), 0);
    while ends < 3 {
        let batch = tokio::time::timeout(Duration::from_secs(30), follower.next()).await.unwrap().unwrap().unwrap();
        ends += batch.iter().filter(|l| l.stream == Stream::System).count();
        lines.extend(batch);
    }
    assert!(lines.iter().enumerate().all(|(i, l)| l.seq == i as u64 + 1), "in order, none twice, none missing");
    let out = lines.iter().filter(|l| l.stream == Stream::Stdout).take(600);
    assert!(out.enumerate().all(|(i, l)| l.text == (i % 200 + 1).to_string()));
    assert!(fs::read_dir(machine.instances().join(&name).join("log")).unwrap().count() > 5);

    machine.runtime.remove(&name).await.unwrap();
    let end =
        tokio::time::timeout(Duration::from_secs(30), async { while follower.next().await.unwrap().is_some() {} });
    end.await.expect("a follower of a removed instance ends");
    assert_eq!(machine.runtime.logs().names(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_output_is_kept_as_well_as_it_can_be() {
    let machine = Machine::new();
    let app = r"printf 'a\tb\r\nbad \377\376 bytes\n\n'; head -c 200000 /dev/zero | tr '\0' x; printf '\nunfinished'; printf err >&2; sleep 0.3; exit 1";
    let mut spec = machine.spec(app);
    spec.restart = RestartPolicy::Never;
    let name = spec.key.name();
    machine.runtime.start(&spec).await.unwrap();
    until(|| machine.text(&name).iter().any(|l| l.starts_with("stopped")), "the end");
    let lines = machine.runtime.logs().read(&name, None, 100).unwrap();
    let of = |stream| lines.iter().filter(|l| l.stream == stream).map(|l| l.text.as_str()).collect::<Vec<_>>();
    assert_eq!(of(Stream::Stderr), ["err"]);
    let out = of(Stream::Stdout);
    assert_eq!(out[..3], ["a\tb", "bad \u{fffd}\u{fffd} bytes", ""]);
    assert_eq!(out.last(), Some(&"unfinished"));
    assert_eq!(out[3..out.len() - 1].concat().len(), 200_000);
    assert!(out.iter().all(|l| l.len() <= 64 * 1024));
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_secret_variables_are_in_no_line_and_no_file() {
    const KEY: &str = "say \"Gr\u{fc}\u{df}e\" to the parrot";
    let machine = Machine::new();
    let app = r#"echo "$KEY opens $PLACE"; printf 'bad \377 %s, unfinished' "$KEY" >&2; exit 1"#;
    let mut spec = machine.spec(app);
    spec.env.insert("KEY".to_owned(), KEY.to_owned());
    spec.env.insert("PLACE".to_owned(), "the garden".to_owned());
    spec.secrets.insert("KEY".to_owned());
    spec.restart = RestartPolicy::Never;
    let name = spec.key.name();
    machine.runtime.start(&spec).await.unwrap();
    until(|| machine.text(&name).iter().any(|l| l.starts_with("stopped")), "the end");
    let text = machine.text(&name);
    assert!(text.contains(&"[secret] opens the garden".to_owned()), "{text:?}");
    assert!(text.contains(&"bad \u{fffd} [secret], unfinished".to_owned()), "{text:?}");
    let folder = machine.instances().join(&name);
    for file in ["log/current", "spec.json", "status.json", "supervisor.err"] {
        let text = String::from_utf8_lossy(&fs::read(folder.join(file)).unwrap()).into_owned();
        assert!(!text.contains("parrot"), "{file}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_app_goes_on_when_the_disk_is_full() {
    let machine = Machine::new();
    let spec = machine.spec("i=0; while :; do i=$((i+1)); echo line $i; echo $i > count; sleep 0.01; done");
    let name = spec.key.name();
    let log = machine.instances().join(&name).join("log");
    fs::create_dir_all(&log).unwrap();
    // The device that is always full.
    std::os::unix::fs::symlink("/dev/full", log.join("current")).unwrap();
    machine.runtime.start(&spec).await.unwrap();
    let count = || fs::read_to_string(machine.app().join("count")).ok().and_then(|t| t.trim().parse::<u32>().ok());
    until(|| count() > Some(50), "the app to go on");
    fs::remove_file(log.join("current")).unwrap();
    let told =
        || machine.text(&name).iter().any(|l| l.contains("lines before this were lost: No space left on device"));
    until(told, "the loss to be told");
    assert_eq!(machine.runtime.status(&name).unwrap().restarts, 0);
    let lines = machine.runtime.logs().read(&name, None, usize::MAX).unwrap();
    assert!(lines[0].seq > 20, "the numbers show the gap: {:?}", lines[0]);
    let numbers: BTreeSet<u64> = lines.iter().map(|l| l.seq).collect();
    assert_eq!(numbers.len(), lines.len());
}
