//! The end of a log that somebody follows: the frames that were read last, and who takes them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use operations::Error;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::frame::Frame;
use super::pump::pump;
use super::{Log, lock};

/// How the pump has ended; `None` while it reads.
pub(super) type End = Option<Result<(), Error>>;
pub(super) type FrameOf<L> = Frame<<L as Log>::Line, <L as Log>::Place>;

/// Lines of so much weight are at hand. Each frame may be there twice more, as it is written for the wire.
const RING: usize = 1024 * 1024;
/// For one who reads for himself, before he looks again: nothing tells him that there is more.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// A log that is followed.
pub(crate) struct Tail<L: Log> {
    /// As it was given: its clones read for those who are behind.
    log: L,
    ring: Arc<Ring<L>>,
    /// Changes with each frame, and with the end. Whoever has one of these is counted as following.
    told: watch::Receiver<End>,
}

impl<L: Log> Tail<L> {
    /// The tail and its pump, which is to be run.
    pub(super) fn start(log: L, stopping: CancellationToken) -> (Arc<Self>, impl Future<Output = ()> + Send + 'static) {
        let (sender, told) = watch::channel(None);
        let ring = Arc::new(Ring::default());
        let pump = pump(log.clone(), ring.clone(), sender, stopping);
        (Arc::new(Self { log, ring, told }), pump)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.told.borrow().is_some() || self.told.has_changed().is_err()
    }
}

/// The newest frames of a log, numbered from 0.
pub(super) struct Ring<L: Log>(Mutex<Frames<L>>);

struct Frames<L: Log> {
    frames: VecDeque<Arc<FrameOf<L>>>,
    /// Number of the oldest that is still there.
    first: u64,
    /// Before that one; `None` until the pump has begun.
    start: Option<L::Place>,
    weight: usize,
}

impl<L: Log> Default for Ring<L> {
    fn default() -> Self {
        Self(Mutex::new(Frames { frames: VecDeque::new(), first: 0, start: None, weight: 0 }))
    }
}

/// What a ring has of a number.
enum Found<F> {
    Frame(F),
    NotYet,
    NoMore,
}

/// Where somebody meets a ring.
enum Meets {
    /// He has had all that is before the frame of this number.
    At(u64),
    /// Something is between his place and the ring.
    Behind,
    /// The pump has not begun.
    NotYet,
}

impl<L: Log> Ring<L> {
    /// Nothing is at hand, and what comes next is behind `place`.
    pub(super) fn begin(&self, place: L::Place) {
        let mut ring = lock(&self.0);
        ring.first += ring.frames.len() as u64;
        ring.frames.clear();
        ring.weight = 0;
        ring.start = Some(place);
    }

    pub(super) fn push(&self, frame: FrameOf<L>) {
        let weight = |frame: &FrameOf<L>| frame.lines().iter().map(L::weight).sum::<usize>();
        let mut ring = lock(&self.0);
        ring.weight += weight(&frame);
        ring.frames.push_back(Arc::new(frame));
        // The newest stays, however large it is.
        while ring.weight > RING && ring.frames.len() > 1 {
            let Some(oldest) = ring.frames.pop_front() else { break };
            ring.weight -= weight(&oldest);
            ring.first += 1;
            ring.start = Some(oldest.place().clone());
        }
    }

    fn get(&self, number: u64) -> Found<Arc<FrameOf<L>>> {
        let ring = lock(&self.0);
        match number.checked_sub(ring.first) {
            None => Found::NoMore,
            Some(index) => match usize::try_from(index).ok().and_then(|index| ring.frames.get(index)) {
                Some(frame) => Found::Frame(frame.clone()),
                None => Found::NotYet,
            },
        }
    }

    fn meet(&self, place: &L::Place) -> Meets {
        let ring = lock(&self.0);
        let Some(start) = &ring.start else { return Meets::NotYet };
        // From the newest on: the less is left of what he has had, the better.
        match ring.frames.iter().rposition(|frame| L::covers(place, frame.place())) {
            Some(index) => Meets::At(ring.first + index as u64 + 1),
            None if L::covers(place, start) => Meets::At(ring.first),
            None => Meets::Behind,
        }
    }
}

/// Somebody who follows a log.
pub(crate) struct Watcher<L: Log> {
    tail: Arc<Tail<L>>,
    told: watch::Receiver<End>,
    place: L::Place,
    state: State<L>,
}

enum State<L> {
    /// Looks whether the ring reaches back to the place.
    Coming,
    /// It does not: reads for himself, and looks again.
    Behind(L),
    /// The next frame, of which some lines may have been had.
    Meeting(u64),
    /// The next frame, of which none was.
    InStep(u64),
}

impl<L: Log> Watcher<L> {
    pub(super) fn new(tail: Arc<Tail<L>>, place: L::Place) -> Self {
        let told = tail.told.clone();
        Self { tail, told, place, state: State::Coming }
    }

    /// The next lines, once there are some; `None` when the log is over. After an error nothing follows.
    pub(crate) async fn next(&mut self) -> Result<Option<Arc<FrameOf<L>>>, Error> {
        loop {
            // Before looking at the ring: once it has ended, what is there is all that there will be.
            let end = self.told.borrow_and_update().clone();
            match &mut self.state {
                State::Coming => match self.tail.ring.meet(&self.place) {
                    Meets::At(number) => self.state = State::Meeting(number),
                    Meets::Behind => self.state = State::Behind(self.tail.log.clone()),
                    Meets::NotYet => match end {
                        Some(end) => return end.map(|()| None),
                        None => self.wait().await?,
                    },
                },
                State::Behind(log) => {
                    if let Meets::At(number) = self.tail.ring.meet(&self.place) {
                        self.state = State::Meeting(number);
                        continue;
                    }
                    let over = log.is_over().await?;
                    let read = log.read(&mut self.place).await?;
                    if !read.lines.is_empty() {
                        return Ok(Some(Arc::new(Frame::new(read.lines, self.place.clone()))));
                    }
                    if over {
                        return Ok(None);
                    }
                    // The pump may know of a log that we don't yet, or the other way round.
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
                State::Meeting(number) | State::InStep(number) => match self.tail.ring.get(*number) {
                    Found::Frame(frame) => {
                        *number += 1;
                        if let Some(frame) = self.take(frame) {
                            return Ok(Some(frame));
                        }
                    }
                    Found::NoMore => self.state = State::Coming,
                    Found::NotYet => match end {
                        Some(end) => return end.map(|()| None),
                        None => self.wait().await?,
                    },
                },
            }
        }
    }

    /// What is new of a frame, if anything is.
    fn take(&mut self, frame: Arc<FrameOf<L>>) -> Option<Arc<FrameOf<L>>> {
        let next = match self.state {
            State::Meeting(next) => next,
            State::Coming | State::Behind(_) | State::InStep(_) => {
                self.place = frame.place().clone();
                return Some(frame);
            }
        };
        let place = &mut self.place;
        let lines: Vec<_> = frame.lines().iter().filter_map(|line| L::meet(place, line)).collect();
        if L::covers(frame.place(), place) {
            self.state = State::InStep(next);
            self.place = frame.place().clone();
            if lines.len() == frame.lines().len() {
                return Some(frame);
            }
        }
        (!lines.is_empty()).then(|| Arc::new(Frame::new(lines, self.place.clone())))
    }

    /// Until there is another frame, or the end.
    async fn wait(&mut self) -> Result<(), Error> {
        // The pump ends without a word in a panic alone.
        self.told.changed().await.map_err(|_| Error::internal())
    }
}
