//! Answers those who ask over the backplane what became of an event.

use std::sync::Arc;

use bytes::Bytes;
use signal_bus::{Bus, Event, Publication};
use signal_wire::journal::{CHANNEL, MAX_BYTES, MAX_ENTRIES, Reply, Request, reply_channel};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Journal;
use crate::metrics;

/// Questions that are read at once; the backplane holds the others back.
const AT_ONCE: usize = 16;

/// Runs until `stop`. `worker` is another one each time the process starts.
pub async fn answer(journal: Arc<Journal>, bus: Arc<dyn Bus>, worker: Uuid, stop: CancellationToken) {
    let (channels, mut events) = bus.subscribe();
    let mut heard = Vec::new();
    let mut subscribed = std::pin::pin!(channels.acquire(vec![CHANNEL.to_owned()]));
    let mut waiting = true;
    loop {
        let open = tokio::select! {
            () = stop.cancelled() => return,
            // Who asks before it is done hears nothing of this worker, as if it were away.
            _ = &mut subscribed, if waiting => { waiting = false; true }
            open = events.next(&mut heard, AT_ONCE) => open,
        };
        if !open {
            return;
        }
        let questions = heard.drain(..).filter_map(|event| match event {
            Event::Message(question) => Some(question.payload),
            Event::Lost { reason } => {
                tracing::warn!(reason, "questions about events are not heard");
                None
            }
            Event::Restored => None,
        });
        let answers: Vec<Publication> = questions.filter_map(|question| reply(&journal, worker, &question)).collect();
        // Who asked hears no answer, and says how many it has heard.
        let told = if answers.is_empty() { Ok(()) } else { bus.publish(&answers).await };
        if let Err(error) = told {
            tracing::debug!(%error, "a question about an event goes unanswered");
        }
    }
}

fn reply(journal: &Journal, worker: Uuid, question: &[u8]) -> Option<Publication> {
    let request = (question.len() <= MAX_BYTES).then(|| serde_json::from_slice::<Request>(question).ok()).flatten();
    // The id becomes part of a channel's name.
    let Some(request) = request.filter(|request| Uuid::try_parse(&request.request_id).is_ok()) else {
        metrics::question_refused();
        return None;
    };
    let mut entries = journal.of(&request.event);
    entries.drain(..entries.len().saturating_sub(MAX_ENTRIES));
    let reply = Reply { worker: worker.to_string(), since: journal.since(), entries };
    let payload = serde_json::to_vec(&reply).expect("a reply has string keys and times that can be written");
    Some(Publication { channel: reply_channel(&request.request_id), payload: Bytes::from(payload) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_question_gets_no_answer() {
        let journal = Journal::default();
        let long = format!(r#"{{"requestId":"{}","event":"{}"}}"#, Uuid::nil(), "x".repeat(MAX_BYTES));
        for question in ["", "[]", "{}", r#"{"requestId":"../7","event":"e"}"#, r#"{"requestId":7,"event":"e"}"#, &long]
        {
            assert_eq!(reply(&journal, Uuid::nil(), question.as_bytes()), None, "{question:.60}");
        }
        let question = format!(r#"{{"requestId":"{}","event":"e"}}"#, Uuid::nil());
        let answer = reply(&journal, Uuid::nil(), question.as_bytes()).unwrap();
        assert_eq!(answer.channel, reply_channel(&Uuid::nil().to_string()));
    }
}
