//! The list that a client reads again when it may have missed pushes.

use std::time::Duration;

use tokio::time::sleep;

use super::rows::{Row, Rows};

/// Whoever reads while the database is away tries again, as an application does.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// Clones are the same list.
#[derive(Clone, Debug)]
pub struct List(Rows);

impl List {
    pub fn new(rows: Rows) -> Self {
        Self(rows)
    }

    /// All notifications of one person, newest first. Returns once they were read.
    pub async fn read(&self, user: &str) -> Vec<Row> {
        loop {
            if let Ok(rows) = self.0.of_user(user).await {
                return rows;
            }
            sleep(AGAIN_AFTER).await;
        }
    }
}
