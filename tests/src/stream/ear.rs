//! Somebody who listens on the backplane to every push to anybody: how far a stream is, and what was pushed twice.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt;
use serde::Deserialize;
use signal_wire::message::event;
use tokio::{task::JoinSet, time::sleep};

use crate::sister;

const PUSHES: &str = "ws:room:signal/notification/";
const AGAIN_AFTER: Duration = Duration::from_millis(50);

/// Listens until it is dropped; deaf while the backplane is away.
#[derive(Debug)]
pub struct Ear {
    heard: Arc<Heard>,
    _listening: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Heard {
    pushes: AtomicU64,
    ids: Mutex<HashSet<String>>,
}

impl Ear {
    /// Whatever is said once this has returned is heard.
    ///
    /// # Errors
    /// If the backplane is not there.
    pub async fn open(url: &str) -> anyhow::Result<Self> {
        let heard = Arc::<Heard>::default();
        let first = sister::listen(url, PUSHES).await?;
        let mut listening = JoinSet::new();
        listening.spawn(listen(url.to_owned(), first, Arc::clone(&heard)));
        Ok(Self { heard, _listening: listening })
    }

    /// Pushes of notifications, those that came again among them.
    pub fn pushes(&self) -> u64 {
        self.heard.pushes.load(Ordering::SeqCst)
    }

    /// Different notifications among the pushes.
    pub fn distinct(&self) -> u64 {
        self.heard.ids.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
    }
}

async fn listen(url: String, first: sister::Heard, heard: Arc<Heard>) {
    let mut subscription = Some(first);
    loop {
        if let Some(mut messages) = subscription.take() {
            while let Some(message) = messages.next().await {
                heard.take(&message);
            }
        }
        sleep(AGAIN_AFTER).await;
        subscription = sister::listen(&url, PUSHES).await.ok();
    }
}

impl Heard {
    fn take(&self, payload: &[u8]) {
        #[derive(Deserialize)]
        struct Push {
            event: String,
            data: Identified,
        }
        #[derive(Deserialize)]
        struct Identified {
            #[serde(default)]
            id: String,
        }
        let Ok(Push { event, data }) = serde_json::from_slice(payload) else { return };
        if event == event::NOTIFICATION_CREATED {
            self.ids.lock().unwrap_or_else(PoisonError::into_inner).insert(data.id);
            self.pushes.fetch_add(1, Ordering::SeqCst);
        }
    }
}
