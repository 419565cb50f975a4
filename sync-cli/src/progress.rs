//! What is seen of a run while it goes on: bars on a terminal, plain lines elsewhere. Always on stderr.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use syncline::{Counts, Events, Result, RunId, SyncEvent, SyncResult, Syncline};

use crate::{
    output::{number, plural},
    signal,
};

/// Between two plain lines.
const QUIET: Duration = Duration::from_secs(2);

/// How a cancelled run is waited for before the process ends.
const LAST_COMMIT: Duration = Duration::from_secs(10);

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Show {
    /// A bar.
    Bar,
    /// A line every two seconds.
    Lines,
    /// Nothing.
    Nothing,
}

impl Show {
    pub(crate) fn for_terminal(quiet: bool) -> Self {
        match (quiet, console::Term::stderr().is_term()) {
            (true, _) => Self::Nothing,
            (false, true) => Self::Bar,
            (false, false) => Self::Lines,
        }
    }
}

/// How a watched run ended.
#[derive(Debug)]
pub(crate) enum Watched<T = SyncResult> {
    /// By itself.
    Ended(Box<Result<T>>),
    /// By Ctrl-C or SIGTERM; the run, if one had begun.
    Stopped(Option<RunId>),
}

/// Does the run and shows how it goes. Ctrl-C or SIGTERM drops it and waits for its last commit.
pub(crate) async fn watch<T>(engine: &Syncline, run: impl Future<Output = Result<T>>, title: &str, show: Show) -> Watched<T> {
    let mut events = engine.events();
    let mut progress = Progress::new(title, show);
    let mut begun = None;
    {
        let mut work = Box::pin(run);
        let mut interrupted = Box::pin(signal::stopped());
        loop {
            tokio::select! {
                biased;
                Ok(()) = &mut interrupted => break,
                ended = &mut work => {
                    progress.finish();
                    return Watched::Ended(Box::new(ended));
                }
                Some(event) = events.next() => {
                    begun = begun.or(event.run());
                    progress.event(&event);
                }
            }
        }
    }
    progress.finish();
    if let Some(run) = begun {
        let _ = tokio::time::timeout(LAST_COMMIT, ended(&mut events, run)).await;
    }
    Watched::Stopped(begun)
}

/// Waits until a run has been written down as ended.
pub(crate) async fn ended(events: &mut Events, run: RunId) {
    while let Some(event) = events.next().await {
        if matches!(event, SyncEvent::SyncComplete { run: ended, .. } if ended == run) {
            return;
        }
    }
}

struct Progress {
    bar: ProgressBar,
    title: String,
    show: Show,
    partitions: u64,
    said: Instant,
}

impl Progress {
    fn new(title: &str, show: Show) -> Self {
        let target = if show == Show::Bar { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(1), target);
        bar.set_style(style("{spinner} {prefix}  {msg}"));
        bar.set_prefix(title.to_owned());
        bar.set_message("asking what there is");
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { bar, title: title.into(), show, partitions: 1, said: Instant::now() }
    }

    fn event(&mut self, event: &SyncEvent) {
        match event {
            SyncEvent::SyncPlanned { partitions, .. } => {
                self.partitions = *partitions;
                self.bar.set_length(*partitions);
                self.bar.set_message("reading");
                if *partitions > 1 {
                    self.bar.set_style(style("{spinner} {prefix}  {bar:24} {pos}/{len} parts  {msg}"));
                }
            }
            SyncEvent::SyncProgress { counts, partitions_done, .. } => {
                self.bar.set_position(*partitions_done);
                self.bar.set_message(words(counts));
                if self.show == Show::Lines && self.said.elapsed() >= QUIET {
                    self.said = Instant::now();
                    let parts =
                        if self.partitions > 1 { format!(", {partitions_done} of {} parts", self.partitions) } else { String::new() };
                    eprintln!("{}: {}{parts}", self.title, words(counts));
                }
            }
            // What stops the only part of a stream stops the run, and is told with it.
            SyncEvent::PartitionFailed { partition, error, .. } if self.partitions > 1 => {
                let text = format!("{}: {partition} could not be read: {}", self.title, crate::output::plain(error));
                match self.show {
                    Show::Bar => self.bar.suspend(|| eprintln!("{text}")),
                    Show::Lines => eprintln!("{text}"),
                    Show::Nothing => {}
                }
            }
            SyncEvent::SyncWaiting { items, until, .. } => {
                let text =
                    format!("waiting until {} for {} whose answer was lost", until.format("%T UTC"), plural(*items, "write", "writes"));
                self.bar.set_message(text.clone());
                if self.show == Show::Lines {
                    eprintln!("{}: {text}", self.title);
                }
            }
            _ => {}
        }
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn words(counts: &Counts) -> String {
    format!("{}, {} written", plural(counts.read, "record", "records"), number(counts.synced() + counts.deleted + counts.swept))
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates are well formed").progress_chars("━╸─")
}
