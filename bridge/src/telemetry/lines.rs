//! Log lines on their way to standard error.
//!
//! Owns the bound: whoever logs never waits for whoever reads. Lines that find no room are counted and lost, and the log
//! says how many as soon as it is read again. A log that is gone (its pipe was closed, its disk is full) must not end the
//! bridge either.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;

/// How much may wait to be written.
const MAX_BYTES: usize = 1 << 20;
/// How long the end of the process waits for what is to be written.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Lines that wait, and the thread that writes them.
#[derive(Default)]
pub(super) struct Lines {
    state: Mutex<State>,
    /// There is something to write.
    filled: Condvar,
    /// Everything is written.
    emptied: Condvar,
    lost: Counter,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Vec<u8>>,
    bytes: usize,
    /// The thread holds a line that is not written yet.
    is_writing: bool,
    /// Lines lost that nobody was told of.
    untold: u64,
}

static STDERR: LazyLock<Arc<Lines>> = LazyLock::new(Arc::default);

/// The lines for standard error.
pub(super) fn stderr() -> &'static Arc<Lines> {
    &STDERR
}

/// Starts the thread that writes to standard error.
pub(super) fn start() {
    let lines = Arc::clone(&STDERR);
    let thread = std::thread::Builder::new().name("capbridge-log".into());
    if let Err(error) = thread.spawn(move || lines.write_to(&mut std::io::stderr())) {
        let _ = writeln!(std::io::stderr(), "capbridge: the thread of the log cannot start: {error}");
    }
}

/// Writes a line to standard error behind those that wait.
pub fn last_word(text: &str) {
    STDERR.push(format!("{text}\n").as_bytes());
}

/// Waits until everything is written, but not for a reader that is not there.
pub fn flush() {
    STDERR.wait_written(LAST_WORDS);
}

impl Lines {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many lines were lost.
    pub(super) fn lost(&self) -> Counter {
        self.lost.clone()
    }

    /// Takes a line, if there is room. Never waits.
    fn push(&self, line: &[u8]) {
        let mut state = self.state();
        if state.bytes + line.len() > MAX_BYTES {
            state.untold += 1;
            self.lost.inc();
            return;
        }
        state.bytes += line.len();
        state.waiting.push_back(line.to_vec());
        self.filled.notify_one();
    }

    /// The next line; waits for one.
    fn next(&self) -> Vec<u8> {
        let mut state = self.state();
        loop {
            if let Some(line) = state.waiting.pop_front() {
                state.is_writing = true;
                return line;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A line is written, or was refused. How many were lost since somebody was told.
    fn written(&self, line: &[u8]) -> u64 {
        let mut state = self.state();
        state.bytes -= line.len();
        state.is_writing = false;
        if state.waiting.is_empty() {
            self.emptied.notify_all();
        }
        std::mem::take(&mut state.untold)
    }

    /// Writes for ever.
    fn write_to(&self, out: &mut dyn Write) {
        loop {
            let line = self.next();
            let _ = out.write_all(&line);
            let lost = self.written(&line);
            if lost > 0 {
                tracing::warn!(lost, "log lines were lost: they were not read in time");
            }
        }
    }

    fn wait_written(&self, limit: Duration) {
        let busy = |state: &mut State| state.is_writing || !state.waiting.is_empty();
        let waited = self.emptied.wait_timeout_while(self.state(), limit, busy);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

/// What the subscriber writes to: one call for each line.
pub(super) struct Line;

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        STDERR.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// A log whose reader takes a line when the test says so.
    struct Slow(Receiver<()>, Sender<String>);

    impl Write for Slow {
        fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
            self.0.recv().map_err(std::io::Error::other)?;
            self.1.send(String::from_utf8_lossy(line).into_owned()).map_err(std::io::Error::other)?;
            Ok(line.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nobody_waits_for_a_reader_that_does_not_read_and_what_finds_no_room_is_counted() {
        let lines = Arc::new(Lines::default());
        let ((read, reading), (wrote, written)) = (channel(), channel());
        let writer = Arc::clone(&lines);
        std::thread::spawn(move || writer.write_to(&mut Slow(reading, wrote)));
        let long = "x".repeat(MAX_BYTES / 4 - 1);
        (0..6).for_each(|n| lines.push(format!("{n}{long}").as_bytes()));
        assert_eq!(lines.lost().get(), 2);
        lines.wait_written(Duration::from_millis(50));
        assert!(written.try_recv().is_err(), "it does not wait for a reader that is not there");
        (0..9).for_each(|_| read.send(()).unwrap());
        let first: Vec<String> = (0..4).map(|_| written.recv().unwrap()).collect();
        assert!((0..4).all(|n| first[n].starts_with(&n.to_string())), "in their order");
        lines.wait_written(Duration::from_secs(60));
        // There is room again.
        lines.push(b"after");
        assert_eq!(written.recv().unwrap(), "after");
        lines.wait_written(Duration::from_secs(60));
        assert_eq!((lines.lost().get(), lines.state().bytes), (2, 0));
    }
}
