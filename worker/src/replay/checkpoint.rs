//! How far a replay has come, in a file: whoever starts the same replay again goes on behind what is done.
//!
//! A file is written anew each time and takes the old one's place in one step, so that a crash leaves one or the other.
//! It belongs to one command: what is to be read was fixed when it was made, whatever `2h` or `end` would mean by now.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{consume::range::Slice, selection::Selection};

const VERSION: u32 = 1;

#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error("the checkpoint {} can't be read", .0.display())]
    Read(PathBuf, #[source] io::Error),
    #[error("{} is not a checkpoint of this version", .0.display())]
    NotOne(PathBuf),
    #[error("the checkpoint {} is of another replay: its {what} is {theirs}, not {ours}", path.display())]
    Another { path: PathBuf, what: &'static str, theirs: String, ours: String },
    #[error("the checkpoint {} can't be written", .0.display())]
    Write(PathBuf, #[source] io::Error),
}

/// What a replay is about. Two that agree in this do the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Subject {
    pub(super) topic: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) selection: Selection,
    pub(super) push: bool,
}

/// One partition's share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stretch {
    pub(super) partition: i32,
    pub(super) from: i64,
    pub(super) to: i64,
    /// Everything before is done.
    pub(super) next: i64,
}

impl Stretch {
    pub(super) fn rest(&self) -> Slice {
        Slice { partition: self.partition, from: self.next, to: self.to }
    }

    /// Offsets that are done.
    pub(super) fn done(&self) -> u64 {
        Slice { partition: self.partition, from: self.from, to: self.next }.len()
    }
}

impl From<Slice> for Stretch {
    fn from(Slice { partition, from, to }: Slice) -> Self {
        Self { partition, from, to, next: from }
    }
}

#[derive(Serialize, Deserialize)]
struct Contents {
    version: u32,
    #[serde(flatten)]
    subject: Subject,
    stretches: Vec<Stretch>,
}

/// The file of one replay.
#[derive(Clone, Debug)]
pub(super) struct Checkpoint {
    path: PathBuf,
    subject: Subject,
}

impl Checkpoint {
    pub(super) fn new(path: &Path, subject: Subject) -> Self {
        Self { path: path.to_owned(), subject }
    }

    /// How far the replay has come; `None` if there is no file yet.
    ///
    /// # Errors
    /// If there is one of something else.
    pub(super) fn load(&self) -> Result<Option<Vec<Stretch>>, CheckpointError> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(CheckpointError::Read(self.path.clone(), error)),
        };
        let contents = serde_json::from_slice::<Contents>(&bytes).ok().filter(|contents| contents.version == VERSION);
        let Contents { subject, stretches, .. } = contents.ok_or_else(|| CheckpointError::NotOne(self.path.clone()))?;
        let (theirs, ours) = (&subject, &self.subject);
        let another = |what, theirs: &dyn ToString, ours: &dyn ToString| {
            Err(CheckpointError::Another {
                path: self.path.clone(),
                what,
                theirs: theirs.to_string(),
                ours: ours.to_string(),
            })
        };
        if theirs.topic != ours.topic {
            return another("topic", &theirs.topic, &ours.topic);
        }
        if theirs.from != ours.from {
            return another("--from", &theirs.from, &ours.from);
        }
        if theirs.to != ours.to {
            return another("--to", &theirs.to, &ours.to);
        }
        if theirs.push != ours.push {
            return another("--push", &theirs.push, &ours.push);
        }
        if theirs.selection != ours.selection {
            let text = |selection| serde_json::to_string(selection).expect("sets of strings have a JSON form");
            return another("selection", &text(&theirs.selection), &text(&ours.selection));
        }
        Ok(Some(stretches))
    }

    /// Takes the old file's place, once it is on the disk.
    ///
    /// # Errors
    /// If it can't be written.
    pub(super) async fn save(&self, stretches: &[Stretch]) -> Result<(), CheckpointError> {
        let contents = Contents { version: VERSION, subject: self.subject.clone(), stretches: stretches.to_vec() };
        let text = serde_json::to_string_pretty(&contents).expect("strings and numbers have a JSON form") + "\n";
        let path = self.path.clone();
        let written = tokio::task::spawn_blocking(move || replace(&path, &text)).await;
        let written = written.unwrap_or_else(|panic| Err(io::Error::other(panic)));
        written.map_err(|error| CheckpointError::Write(self.path.clone(), error))
    }
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?.to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let mut file = File::create(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    // The name, too, outlasts a power cut.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject() -> Subject {
        Subject {
            topic: "t".into(),
            from: "2h".into(),
            to: "end".into(),
            selection: Selection { merchants: ["m1".to_owned()].into(), ..Selection::default() },
            push: false,
        }
    }

    #[tokio::test]
    async fn keeps_how_far_it_has_come() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("replay.json");
        let checkpoint = Checkpoint::new(&path, subject());
        assert_eq!(checkpoint.load().unwrap(), None);
        let mut stretches = [Stretch::from(Slice { partition: 3, from: 10, to: 20 })];
        for next in [10, 15, 20] {
            stretches[0].next = next;
            checkpoint.save(&stretches).await.unwrap();
            assert_eq!(checkpoint.load().unwrap().as_deref(), Some(&stretches[..]));
        }
        assert_eq!((stretches[0].done(), stretches[0].rest().len()), (10, 0));
        let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["replay.json"]);
    }

    #[tokio::test]
    async fn another_replays_file_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("replay.json");
        Checkpoint::new(&path, subject()).save(&[]).await.unwrap();
        let kept = fs::read(&path).unwrap();
        for (what, other) in [
            ("its topic is t, not u", Subject { topic: "u".into(), ..subject() }),
            ("its --from is 2h, not 3h", Subject { from: "3h".into(), ..subject() }),
            ("its --to is end, not 1h", Subject { to: "1h".into(), ..subject() }),
            ("its --push is false, not true", Subject { push: true, ..subject() }),
            (r#"its selection is {"merchants":["m1"]"#, Subject { selection: Selection::default(), ..subject() }),
        ] {
            let error = Checkpoint::new(&path, other).load().unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
        assert_eq!(fs::read(&path).unwrap(), kept);
    }

    #[tokio::test]
    async fn what_is_no_checkpoint_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes.txt");
        for text in ["", "buy milk", "{}", r#"{"version":2}"#] {
            fs::write(&path, text).unwrap();
            let error = Checkpoint::new(&path, subject()).load().unwrap_err();
            assert!(matches!(error, CheckpointError::NotOne(_)), "{error}");
        }
        let nowhere = Checkpoint::new(&dir.path().join("no/where"), subject());
        assert!(matches!(nowhere.save(&[]).await, Err(CheckpointError::Write(..))));
        let folder = Checkpoint::new(dir.path(), subject());
        assert!(matches!(folder.load(), Err(CheckpointError::Read(..))));
    }
}
