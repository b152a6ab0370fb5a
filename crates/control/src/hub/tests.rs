//! Whoever follows gets each line once, in its order, wherever he begins and however slow he is.
#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use chrono::DateTime;
use domain::cursor::LogCursor;
use operations::ErrorKind;
use operations::logs::{LogLine, Stream};

use super::*;
use crate::streams::CursorLine;

const LIMIT: Duration = Duration::from_secs(30);

/// A log of numbers, as high as somebody has counted.
#[derive(Clone, Default)]
struct Numbers {
    counted: Arc<Mutex<u64>>,
    over: Arc<AtomicBool>,
    broken: Arc<AtomicBool>,
    readings: Arc<AtomicUsize>,
}

impl Numbers {
    fn count_to(&self, number: u64) {
        *lock(&self.counted) = number;
    }
}

impl Log for Numbers {
    type Line = u64;
    type Place = u64;

    async fn begin(&mut self) -> Result<u64, Error> {
        Ok(lock(&self.counted).saturating_sub(20))
    }

    async fn is_over(&mut self) -> Result<bool, Error> {
        match self.broken.load(Ordering::SeqCst) {
            true => Err(Error::unavailable("the database is away")),
            false => Ok(self.over.load(Ordering::SeqCst)),
        }
    }

    async fn read(&mut self, place: &mut u64) -> Result<Read<u64>, Error> {
        self.readings.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        let lines: Vec<u64> = (*place + 1..=*lock(&self.counted)).take(7).collect();
        *place = lines.last().copied().unwrap_or(*place);
        Ok(Read { full: lines.len() == 7, lines })
    }

    async fn grown(&mut self) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    fn covers(place: &u64, other: &u64) -> bool {
        place >= other
    }

    fn meet(place: &mut u64, line: &u64) -> Option<u64> {
        (line > place).then(|| {
            *place = *line;
            *line
        })
    }

    /// A ring holds sixteen of them.
    fn weight(_: &u64) -> usize {
        64 * 1024
    }
}

struct Scene {
    tails: Tails<&'static str, Numbers>,
    log: Numbers,
    tasks: TaskTracker,
    stopping: CancellationToken,
}

impl Scene {
    fn new() -> Self {
        let log = Numbers::default();
        Self { tails: Tails::default(), log, tasks: TaskTracker::new(), stopping: CancellationToken::new() }
    }

    fn follow(&self, place: u64) -> Watcher<Numbers> {
        self.tails.follow("numbers", self.log.clone(), place, &self.tasks, &self.stopping)
    }
}

async fn next(watcher: &mut Watcher<Numbers>) -> Result<Option<Vec<u64>>, Error> {
    let frame = tokio::time::timeout(LIMIT, watcher.next()).await.expect("it comes in time")?;
    Ok(frame.map(|frame| {
        assert_eq!(frame.lines().last(), Some(frame.place()));
        frame.lines().to_vec()
    }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everybody_gets_each_line_once_from_any_place_at_any_speed() {
    const ALL: u64 = 3_000;
    let scene = Arc::new(Scene::new());
    let mut followers = Vec::new();
    for n in 0..40_u64 {
        let scene = scene.clone();
        followers.push(tokio::spawn(async move {
            // Some come early, some late; some begin at the front, some ahead of all.
            while *lock(&scene.log.counted) < n * 40 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let begin = if n % 5 == 4 { n * 60 } else { n * 37 };
            let mut watcher = scene.follow(begin);
            let mut seen = Vec::new();
            while let Some(lines) = next(&mut watcher).await.unwrap() {
                seen.extend(lines);
                match n % 4 {
                    // So slow that the ring has gone on.
                    0 if seen.len() % 5 == 0 => tokio::time::sleep(Duration::from_millis(20)).await,
                    1 => tokio::task::yield_now().await,
                    _ => {}
                }
            }
            assert_eq!(seen, (begin + 1..=ALL).collect::<Vec<_>>(), "from {begin} on");
        }));
    }
    let mut number = 0;
    while number < ALL {
        number = (number + 1 + number % 50).min(ALL);
        scene.log.count_to(number);
        tokio::time::sleep(Duration::from_millis(u64::from(number % 7 == 0))).await;
    }
    scene.log.over.store(true, Ordering::SeqCst);
    for follower in followers {
        follower.await.unwrap();
    }
}

#[tokio::test]
async fn lines_are_read_once_for_all_and_shared() {
    let scene = Scene::new();
    scene.log.count_to(5);
    let mut watchers: Vec<_> = (0..100).map(|_| scene.follow(0)).collect();
    for number in [5, 6, 9] {
        scene.log.count_to(number);
        let mut frames = Vec::new();
        for watcher in &mut watchers {
            frames.push(tokio::time::timeout(LIMIT, watcher.next()).await.unwrap().unwrap().unwrap());
        }
        assert!(frames.iter().all(|frame| Arc::ptr_eq(frame, &frames[0])));
        assert_eq!(frames[0].lines().last(), Some(&number));
        let written = AtomicUsize::new(0);
        for frame in &frames {
            let bytes = frame.written(Form::Lines, |lines| {
                written.fetch_add(1, Ordering::SeqCst);
                format!("{lines:?}").into()
            });
            assert!(bytes.ends_with(format!("{number}]").as_bytes()));
        }
        assert_eq!(written.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn the_pump_ends_with_the_last_watcher() {
    let scene = Scene::new();
    scene.log.count_to(3);
    let (mut one, mut other) = (scene.follow(0), scene.follow(1));
    assert_eq!(next(&mut one).await.unwrap(), Some(vec![1, 2, 3]));
    assert_eq!(next(&mut other).await.unwrap(), Some(vec![2, 3]));
    assert_eq!(scene.tasks.len(), 1, "one pump for both");
    drop(one);
    scene.log.count_to(4);
    assert_eq!(next(&mut other).await.unwrap(), Some(vec![4]));
    drop(other);
    scene.tasks.close();
    tokio::time::timeout(LIMIT, scene.tasks.wait()).await.expect("the pump ends");
    let readings = scene.log.readings.load(Ordering::SeqCst);
    // Whoever comes later gets a pump of his own.
    let mut late = scene.follow(0);
    assert_eq!(next(&mut late).await.unwrap(), Some(vec![1, 2, 3, 4]));
    assert!(scene.log.readings.load(Ordering::SeqCst) > readings);
}

#[tokio::test]
async fn ends_reach_everybody() {
    let scene = Scene::new();
    scene.log.count_to(2);
    let mut watcher = scene.follow(0);
    assert_eq!(next(&mut watcher).await.unwrap(), Some(vec![1, 2]));
    scene.log.broken.store(true, Ordering::SeqCst);
    assert_eq!(next(&mut watcher).await.unwrap_err().code, ErrorKind::Unavailable);

    // It works again: a new pump.
    scene.log.broken.store(false, Ordering::SeqCst);
    let mut again = scene.follow(1);
    assert_eq!(next(&mut again).await.unwrap(), Some(vec![2]));
    scene.log.over.store(true, Ordering::SeqCst);
    assert_eq!(next(&mut again).await.unwrap(), None);
    // It was over too early: what was added since is read.
    scene.log.count_to(3);
    let mut resumed = scene.follow(2);
    assert_eq!(next(&mut resumed).await.unwrap(), Some(vec![3]));
    assert_eq!(next(&mut resumed).await.unwrap(), None);

    scene.log.over.store(false, Ordering::SeqCst);
    let mut last = scene.follow(0);
    assert_eq!(next(&mut last).await.unwrap(), Some(vec![1, 2, 3]));
    scene.stopping.cancel();
    assert_eq!(next(&mut last).await.unwrap_err().code, ErrorKind::Unavailable);
}

/// Two logs as one, which each reading puts together in another order.
#[derive(Clone, Default)]
struct Two {
    counted: Arc<Mutex<[u64; 2]>>,
    over: Arc<AtomicBool>,
    readings: Arc<AtomicUsize>,
}

const NAMES: [&str; 2] = ["web", "worker"];

impl Log for Two {
    type Line = CursorLine;
    type Place = LogCursor;

    async fn begin(&mut self) -> Result<LogCursor, Error> {
        let mut place = LogCursor::default();
        NAMES.iter().zip(*lock(&self.counted)).for_each(|(name, seq)| place.set(name, seq));
        Ok(place)
    }

    async fn is_over(&mut self) -> Result<bool, Error> {
        Ok(self.over.load(Ordering::SeqCst))
    }

    async fn read(&mut self, place: &mut LogCursor) -> Result<Read<CursorLine>, Error> {
        tokio::task::yield_now().await;
        let reading = self.readings.fetch_add(1, Ordering::SeqCst);
        let counted = *lock(&self.counted);
        let mut lines = Vec::new();
        for n in 0..6 {
            let had = |log: usize| place.of(NAMES[log]).unwrap_or(0);
            let first = (reading + n * (reading % 3)) % 2;
            let log = if had(first) < counted[first] { first } else { 1 - first };
            let seq = had(log) + 1;
            if seq <= counted[log] {
                place.set(NAMES[log], seq);
                let at = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
                let line = LogLine {
                    seq,
                    at,
                    source: NAMES[log].to_owned(),
                    log: None,
                    stream: Stream::Stdout,
                    text: String::new(),
                };
                lines.push(CursorLine { cursor: place.to_string(), instance: NAMES[log].to_owned(), line });
            }
        }
        Ok(Read { full: lines.len() == 6, lines })
    }

    async fn grown(&mut self) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    fn covers(place: &LogCursor, other: &LogCursor) -> bool {
        Instances::covers(place, other)
    }

    fn meet(place: &mut LogCursor, line: &CursorLine) -> Option<CursorLine> {
        Instances::meet(place, line)
    }

    fn weight(_: &CursorLine) -> usize {
        32 * 1024
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_logs_are_taken_up_behind_any_line() {
    const ALL: [u64; 2] = [700, 900];
    let log = Two::default();
    let tails: Arc<Tails<&'static str, Two>> = Arc::default();
    let (tasks, stopping) = (TaskTracker::new(), CancellationToken::new());
    let mut followers = Vec::new();
    for n in 0..16_usize {
        let (log, tails, tasks, stopping) = (log.clone(), tails.clone(), tasks.clone(), stopping.clone());
        followers.push(tokio::spawn(async move {
            let mut had = [0; 2];
            let mut place = LogCursor::default();
            loop {
                // Comes, takes some, leaves in the middle of a frame, comes back behind the last line that it had.
                let mut watcher = tails.follow("both", log.clone(), place.clone(), &tasks, &stopping);
                let mut left = 1 + n * 5;
                while left > 0 {
                    let frame = tokio::time::timeout(LIMIT, watcher.next()).await.expect("it comes in time").unwrap();
                    let Some(frame) = frame else {
                        assert_eq!(had, ALL, "follower {n}");
                        return;
                    };
                    for line in frame.lines().iter().take(left) {
                        let log = NAMES.iter().position(|name| *name == line.instance).unwrap();
                        assert_eq!(line.line.seq, had[log] + 1, "follower {n}: {}", line.instance);
                        had[log] += 1;
                        place = line.cursor.parse().unwrap();
                        let there = NAMES.map(|name| place.of(name).unwrap_or(0));
                        assert_eq!(there, had, "the cursor says what was had");
                    }
                    left = left.saturating_sub(frame.lines().len());
                }
            }
        }));
    }
    for step in 1..=100_u64 {
        *lock(&log.counted) = ALL.map(|all| all * step / 100);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    log.over.store(true, Ordering::SeqCst);
    for follower in followers {
        follower.await.unwrap();
    }
}
