//! What `signal-worker replay` can be told.

use std::{num::NonZeroU32, path::PathBuf};

use super::point::Point;
use crate::selection::Selection;

/// A stretch of the topic, what of it is meant, and how.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct ReplaySettings {
    /// Where to begin: `beginning`, a time (2026-11-23T08:00:00Z), a day in UTC (2026-11-23), how long ago (90m, 2h,
    /// 7d), or the first offset of each partition that is meant (0:1200,1:980).
    #[arg(long, value_name = "POINT", help_heading = "Range")]
    pub from: Point,

    /// Where to end, in the same words: the first that is not meant. `end` is what the topic holds at the start.
    #[arg(long, value_name = "POINT", default_value = "end", help_heading = "Range")]
    pub to: Point,

    /// Only events of this merchant; may be repeated, like all filters.
    #[arg(long = "merchant", value_name = "ID", help_heading = "Filters")]
    pub merchants: Vec<String>,

    /// Only events that name this organizer.
    #[arg(long = "organizer", value_name = "ID", help_heading = "Filters")]
    pub organizers: Vec<String>,

    /// Only events of this type.
    #[arg(long = "type", value_name = "TYPE", help_heading = "Filters")]
    pub types: Vec<String>,

    /// Only this person's rows.
    #[arg(long = "user", value_name = "ID", help_heading = "Filters")]
    pub users: Vec<String>,

    /// Push the rows that are inserted; without it nobody's screen moves.
    #[arg(long, help_heading = "Effect")]
    pub push: bool,

    /// Write nothing, push nothing, and say exactly what would be inserted.
    #[arg(long, help_heading = "Effect")]
    pub dry_run: bool,

    /// With --dry-run: a line for each row that would be inserted (event, type, recipient, created at, separated by
    /// tabs; with --json as objects).
    #[arg(long, requires = "dry_run", help_heading = "Effect")]
    pub list: bool,

    /// Matched events per second at most.
    #[arg(long, value_name = "EVENTS", help_heading = "Effect")]
    pub rate: Option<NonZeroU32>,

    /// A file that keeps how far it has come: the same command with the same file goes on from there.
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run", help_heading = "Effect")]
    pub checkpoint: Option<PathBuf>,

    /// End with status 3 if a record failed, or if somebody missed a push and could not be told.
    #[arg(long, help_heading = "Output")]
    pub strict: bool,

    /// The summary as one line of JSON.
    #[arg(long, help_heading = "Output")]
    pub json: bool,

    /// No progress.
    #[arg(long, help_heading = "Output")]
    pub quiet: bool,
}

impl ReplaySettings {
    pub fn selection(&self) -> Selection {
        let set = |values: &[String]| values.iter().cloned().collect();
        Selection {
            merchants: set(&self.merchants),
            organizers: set(&self.organizers),
            types: set(&self.types),
            users: set(&self.users),
        }
    }

    /// Whether anybody will be told of anything.
    pub fn pushes(&self) -> bool {
        self.push && !self.dry_run
    }

    /// The same command with other points.
    pub(super) fn command(&self, from: &Point, to: &Point) -> String {
        let mut words = vec!["signal-worker replay".to_owned(), format!("--from {from} --to {to}")];
        let filters = [
            ("--merchant", &self.merchants),
            ("--organizer", &self.organizers),
            ("--type", &self.types),
            ("--user", &self.users),
        ];
        for (flag, values) in filters {
            words.extend(values.iter().map(|value| format!("{flag}={}", quoted(value))));
        }
        let switches = [
            ("--push", self.push),
            ("--dry-run", self.dry_run),
            ("--list", self.list),
            ("--strict", self.strict),
            ("--json", self.json),
            ("--quiet", self.quiet),
        ];
        words.extend(switches.into_iter().filter(|(_, on)| *on).map(|(flag, _)| flag.to_owned()));
        words.extend(self.rate.map(|rate| format!("--rate {rate}")));
        let file = self.checkpoint.as_ref().map(|file| quoted(&file.to_string_lossy()));
        words.extend(file.map(|file| format!("--checkpoint={file}")));
        words.join(" ")
    }
}

/// For a POSIX shell, and for a line of a terminal.
fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@%+,".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Replay {
        #[command(flatten)]
        settings: ReplaySettings,
    }

    fn read(args: &[&str]) -> Result<ReplaySettings, String> {
        let parsed = Replay::try_parse_from(std::iter::once("replay").chain(args.iter().copied()));
        parsed.map(|replay| replay.settings).map_err(|error| error.to_string())
    }

    #[test]
    fn a_beginning_is_needed_and_the_end_is_the_end() {
        let settings = read(&["--from", "2h"]).unwrap();
        assert_eq!(settings.to, Point::End);
        assert_eq!(settings.selection(), Selection::default());
        assert!(!settings.pushes() && settings.rate.is_none());
        assert!(read(&[]).unwrap_err().contains("--from"));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (args, said) in [
            (&["--from", "then"][..], "expected `beginning`"),
            (&["--from", "0:1", "--list"], "--dry-run"),
            (&["--from", "0:1", "--dry-run", "--checkpoint", "x"], "--checkpoint"),
            (&["--from", "0:1", "--rate", "0"], "--rate"),
        ] {
            let error = read(args).unwrap_err();
            assert!(error.contains(said), "{args:?}: {error}");
        }
        assert!(!read(&["--from", "0:1", "--dry-run", "--push"]).unwrap().pushes());
    }

    #[test]
    fn the_command_that_goes_on_is_read_as_the_same() {
        let odd = ["it's", "a b", "--push", "", "m;1"];
        let mut args = vec!["--from", "beginning", "--rate", "7", "--push", "--strict", "--checkpoint", "a file"];
        args.extend(["--type", "PAYMENT_SUCCESS", "--user", "u-1", "--user", "u-2"]);
        let odd_args: Vec<String> = odd.iter().map(|id| format!("--merchant={id}")).collect();
        args.extend(odd_args.iter().map(String::as_str));
        let settings = read(&args).unwrap();
        let (from, to) = (Point::Positions([(0, 5), (1, 7)].into()), Point::Positions([(0, 9), (1, 7)].into()));
        let command = settings.command(&from, &to);
        assert!(command.starts_with("signal-worker replay --from 0:5,1:7 --to 0:9,1:7 "), "{command}");

        let command = command.replacen("signal-worker", "words", 1);
        let script = format!("words() {{ shift; printf '%s\\0' \"$@\"; }}; {command}");
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        let words = String::from_utf8(output.stdout).unwrap();
        let words: Vec<&str> = words.split_terminator('\0').collect();
        assert_eq!(read(&words), Ok(ReplaySettings { from, to, ..settings }));
    }
}
