//! The folder that the embedded parts keep their state in.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

#[derive(Debug, Clone)]
pub struct DataDir(PathBuf);

#[derive(Debug, thiserror::Error)]
#[error("cannot use {path} (SIGNAL_DATA_DIR)")]
pub struct DataDirError {
    path: PathBuf,
    source: io::Error,
}

impl DataDir {
    /// The folder, made if it is missing, for its owner alone.
    ///
    /// # Errors
    /// If it cannot be made, or is no folder.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path).and_then(|()| fs::canonicalize(path));
        made.map(Self).map_err(|source| DataDirError { path: path.to_owned(), source })
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The file's content; if there is none, what `make` gives, written so that a crash
    /// leaves either the whole file or none, readable by its owner alone.
    ///
    /// # Errors
    /// If it can be neither read nor written.
    pub fn read_or_create(&self, name: &str, make: impl FnOnce() -> Vec<u8>) -> Result<Vec<u8>, DataDirError> {
        let path = self.file(name);
        let outcome = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => self.create(name, make()),
            read => read,
        };
        outcome.map_err(|source| DataDirError { path, source })
    }

    fn create(&self, name: &str, content: Vec<u8>) -> io::Result<Vec<u8>> {
        let draft = self.file(&format!("{name}.{}", std::process::id()));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(&content)?;
        file.sync_all()?;
        fs::rename(draft, self.file(name))?;
        Ok(content)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_was_made_once_is_kept_and_private() {
        let scratch = tempfile::tempdir().unwrap();
        let dir = DataDir::open(&scratch.path().join("a/b")).unwrap();
        assert_eq!(dir.read_or_create("key", || b"first".to_vec()).unwrap(), b"first");
        assert_eq!(dir.read_or_create("key", || panic!("it is there")).unwrap(), b"first");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&dir.file("key")), mode(&dir.file(""))), (0o600, 0o700));
        assert_eq!(fs::read_dir(dir.file("")).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn a_file_in_its_place_is_explained() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("taken");
        fs::write(&path, "").unwrap();
        let message = DataDir::open(&path).unwrap_err().to_string();
        assert!(message.contains("SIGNAL_DATA_DIR") && message.contains("taken"), "{message}");
    }
}
