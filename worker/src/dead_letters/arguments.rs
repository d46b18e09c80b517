//! What the three commands can be told.

use std::{collections::BTreeSet, time::Duration};

use clap::ArgGroup;
use signal_service::settings::values;
use time::OffsetDateTime;

use super::selection::{Place, Point, Selection};
use crate::rejection::Rejection;

#[derive(Clone, Debug, PartialEq, Eq, clap::Subcommand)]
pub enum DeadLettersCommand {
    /// Lists dead letters, the newest last, and how many there are of each reason.
    List(ListArguments),
    /// Shows everything of one.
    Show(ShowArguments),
    /// Takes dead letters through the pipeline again, under the positions that their records had. Safe to repeat, and
    /// beside running workers. The status is 0 if none failed.
    Retry(RetryArguments),
}

#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct ListArguments {
    #[command(flatten)]
    pub which: Which,

    /// How many to show, of the newest. [default: 100, in JSON all]
    #[arg(long, value_name = "COUNT")]
    pub limit: Option<usize>,

    /// One JSON object a line for each, without the count.
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::Args)]
pub struct ShowArguments {
    /// Which: partition:offset on the topic of dead letters, as in the list.
    #[arg(value_name = "POSITION")]
    pub position: Place,

    /// Writes the bytes of the value as they are, and nothing else.
    #[arg(long)]
    pub raw: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
#[command(group(ArgGroup::new("some").required(true).multiple(true).args(["all", "at", "reason", "since", "from", "to"])))]
pub struct RetryArguments {
    /// All that are there.
    #[arg(long, conflicts_with_all = ["at", "reason", "since", "from", "to"])]
    pub all: bool,

    /// Those at these positions, partition:offset, as in the list.
    #[arg(long, value_name = "POSITION", num_args = 1.., conflicts_with_all = ["reason", "since", "from", "to"])]
    pub at: Vec<Place>,

    #[command(flatten)]
    pub which: Which,

    /// Writes rows and moves nobody's screen.
    #[arg(long)]
    pub no_push: bool,

    /// Says what would happen, and writes nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// Which of all; what is said together must hold together.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct Which {
    /// Only those for this reason; several may be given. Another writer's are named in full, as the list shows them.
    #[arg(long, value_name = "REASON", value_parser = reason)]
    pub reason: Vec<String>,

    /// Only those of records that are no older than this.
    #[arg(long, value_name = "DURATION", value_parser = values::duration, conflicts_with = "from")]
    pub since: Option<Duration>,

    /// Only from here on: the time of a record (RFC 3339), or partition:offset of a dead letter.
    #[arg(long, value_name = "POINT")]
    pub from: Option<Point>,

    /// Only up to here, and without it.
    #[arg(long, value_name = "POINT")]
    pub to: Option<Point>,
}

/// One of Signal's own, or the name of a class, which Connect writes for its: those have a dot in them.
fn reason(text: &str) -> Result<String, String> {
    if Rejection::LABELS.contains(&text) || text.contains('.') {
        Ok(text.to_owned())
    } else {
        Err(format!("expected one of {}", Rejection::LABELS.join(", ")))
    }
}

impl ListArguments {
    pub fn limit(&self) -> usize {
        self.limit.unwrap_or(if self.json { usize::MAX } else { 100 })
    }
}

impl Which {
    pub fn selection(&self, now: OffsetDateTime) -> Selection {
        let since = self.since.map(|since| {
            let at = time::Duration::try_from(since).ok().and_then(|since| now.checked_sub(since));
            Point::Time(at.unwrap_or(OffsetDateTime::UNIX_EPOCH))
        });
        Selection { from: self.from.or(since), to: self.to, reasons: self.reason.clone(), places: Vec::new() }
    }
}

impl RetryArguments {
    /// Whether somebody's screen is to move.
    pub fn pushes(&self) -> bool {
        !self.no_push && !self.dry_run
    }

    pub fn selection(&self, now: OffsetDateTime) -> Selection {
        let places: BTreeSet<Place> = self.at.iter().copied().collect();
        Selection { places: places.into_iter().collect(), ..self.which.selection(now) }
    }
}
