//! What policies have answered, and what they are being asked.

use std::collections::{HashMap, VecDeque};

use tokio::sync::watch;

use super::{Flight, Landing, MAX_FLIGHTS, Permission, PolicyError, Subject, Unavailable};

/// How long an answer is good for, from when it was asked for: what an operator gives or takes holds after this.
const LIFETIME_MS: i64 = 30_000;
/// Answers kept at most. At some 200 bytes each they take 2 MB.
const CAPACITY: usize = 10_000;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Question {
    pub(super) subject: Subject,
    pub(super) permission: Permission,
}

#[derive(Debug, Clone, Copy)]
struct Answer {
    allowed: bool,
    asked_at_ms: i64,
    /// Which of the entries in the queue is about this answer.
    turn: u64,
}

/// All answers live equally long, so the order in which they came is the order in which they expire, and making room
/// never looks further than the front of a queue.
#[derive(Debug, Default)]
pub(super) struct Answers {
    known: HashMap<Question, Answer>,
    queue: VecDeque<(Question, u64)>,
    turns: u64,
    flights: HashMap<Question, Flight>,
    /// Why the last question had no answer.
    failure: Option<Unavailable>,
}

impl Answers {
    pub(super) fn find(&self, question: &Question, now_ms: i64) -> Option<bool> {
        self.known.get(question).filter(|answer| is_fresh(answer, now_ms)).map(|answer| answer.allowed)
    }

    /// The flight under way for the question, or a new one; `None` where there are as many as there may be.
    pub(super) fn join_or_start(&mut self, question: &Question, start: impl FnOnce(Landing)) -> Option<Flight> {
        if let Some(flight) = self.flights.get(question) {
            // The task of a flight takes it out when it lands; one that panicked did not get there.
            if flight.has_changed().is_ok() {
                return Some(flight.clone());
            }
            self.flights.remove(question);
        }
        if self.flights.len() >= MAX_FLIGHTS {
            self.flights.retain(|_, flight| flight.has_changed().is_ok());
        }
        if self.flights.len() >= MAX_FLIGHTS {
            return None;
        }
        let (landing, flight) = watch::channel(None);
        self.flights.insert(question.clone(), flight.clone());
        start(landing);
        Some(flight)
    }

    /// Ends a flight and remembers what it brought, unless that is a failure. Says whether it is news that there is an
    /// answer, or that there is none.
    pub(super) fn land(&mut self, question: Question, asked_at_ms: i64, outcome: Result<&bool, &PolicyError>) -> bool {
        self.flights.remove(&question);
        match outcome {
            Ok(&allowed) => {
                self.keep(question, allowed, asked_at_ms);
                self.failure.take().is_some()
            }
            Err(error) => {
                let failure = Some(Unavailable::from(error));
                std::mem::replace(&mut self.failure, failure) != failure
            }
        }
    }

    fn keep(&mut self, question: Question, allowed: bool, asked_at_ms: i64) {
        while let Some((oldest, turn)) = self.queue.front() {
            let current = self.known.get(oldest).filter(|answer| answer.turn == *turn);
            if self.queue.len() < CAPACITY && current.is_some_and(|answer| is_fresh(answer, asked_at_ms)) {
                break;
            }
            if current.is_some() {
                self.known.remove(oldest);
            }
            self.queue.pop_front();
        }
        self.turns += 1;
        self.queue.push_back((question.clone(), self.turns));
        self.known.insert(question, Answer { allowed, asked_at_ms, turn: self.turns });
    }
}

/// A clock that was set back must not stretch an answer's life: then it is over.
fn is_fresh(answer: &Answer, now_ms: i64) -> bool {
    now_ms >= answer.asked_at_ms && now_ms - answer.asked_at_ms < LIFETIME_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(id: usize) -> Question {
        Question {
            subject: Subject { kind: "User".to_owned(), id: format!("user-{id}") },
            permission: Permission { code: "Thing.read", action: "read" },
        }
    }

    #[test]
    fn answers_are_bounded_and_the_oldest_goes_first() {
        let mut answers = Answers::default();
        for id in 0..CAPACITY + 10 {
            answers.keep(question(id), true, 0);
        }
        assert_eq!((answers.known.len(), answers.queue.len()), (CAPACITY, CAPACITY));
        assert_eq!(answers.find(&question(9), 0), None);
        assert_eq!(answers.find(&question(10), 0), Some(true));
    }

    #[test]
    fn what_has_expired_goes_before_what_has_not() {
        let mut answers = Answers::default();
        for id in 0..100 {
            answers.keep(question(id), true, 0);
        }
        answers.keep(question(100), true, LIFETIME_MS - 1);
        assert_eq!(answers.known.len(), 101);
        answers.keep(question(101), true, LIFETIME_MS);
        assert_eq!((answers.known.len(), answers.queue.len()), (2, 2));
    }

    #[test]
    fn an_answer_that_was_asked_for_again_outlives_its_first_place_in_the_queue() {
        let mut answers = Answers::default();
        answers.keep(question(0), true, 0);
        answers.keep(question(1), true, 1);
        answers.keep(question(0), false, 2);
        answers.keep(question(2), true, LIFETIME_MS + 1);
        assert_eq!(answers.find(&question(0), LIFETIME_MS + 1), Some(false));
        assert_eq!(answers.find(&question(1), LIFETIME_MS + 1), None);
        for again in 0..2 * CAPACITY {
            answers.keep(question(0), again % 2 == 0, LIFETIME_MS + 2);
        }
        assert!(answers.queue.len() <= CAPACITY, "one question can't fill the memory either");
        assert_eq!(answers.find(&question(0), LIFETIME_MS + 2), Some(false));
    }
}
