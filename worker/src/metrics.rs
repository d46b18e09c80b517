//! Every metric of the worker, each named once, with its unit in its name.

use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::rejection::Rejection;

const RECORDS: &str = "signal_worker_records_total";
const REJECTED: &str = "signal_worker_records_rejected_total";
const DEAD_LETTERS: &str = "signal_worker_dead_letters_total";
const DEAD_LETTERS_INCOMPLETE: &str = "signal_worker_dead_letters_incomplete_total";
const DEAD_LETTER_RETRIES: &str = "signal_worker_dead_letter_retries_total";
const ROWS: &str = "signal_worker_rows_total";
const ID_COLLISIONS: &str = "signal_worker_id_collisions_total";
const PUSHES: &str = "signal_worker_pushes_total";
const RESYNCS: &str = "signal_worker_resyncs_total";
const BATCH_RECORDS: &str = "signal_worker_batch_records";
const BATCH_SECONDS: &str = "signal_worker_batch_duration_seconds";
const RECORD_AGE: &str = "signal_worker_record_age_seconds";
const STEP_SECONDS: &str = "signal_worker_step_duration_seconds";
const STORE_RETRIES: &str = "signal_worker_store_retries_total";
const COMMIT_FAILURES: &str = "signal_worker_kafka_commit_failures_total";
const REBALANCES: &str = "signal_worker_kafka_rebalances_total";
const PARTITIONS: &str = "signal_worker_kafka_partitions";
const QUESTIONS_REFUSED: &str = "signal_worker_questions_refused_total";
const LAG: &str = "signal_worker_kafka_lag_records";

/// Tells the recorder what they mean.
pub fn describe() {
    describe_counter!(RECORDS, "Records that the pipeline has finished with.");
    describe_counter!(REJECTED, "Records that can't be handled, by reason.");
    describe_counter!(DEAD_LETTERS, "Dead letters that the broker has acknowledged, by reason.");
    describe_counter!(
        DEAD_LETTERS_INCOMPLETE,
        "Those of them that were too large for their topic, by what was left out."
    );
    describe_counter!(
        DEAD_LETTER_RETRIES,
        "Times that dead letters were sent again because their topic did not take them."
    );
    describe_counter!(ROWS, "Rows by outcome: inserted, existing, deleted by their person before, refused.");
    describe_counter!(ID_COLLISIONS, "Ids that another replica had taken; each was replaced.");
    describe_counter!(PUSHES, "Pushes by outcome: sent, missed.");
    describe_counter!(RESYNCS, "Resync messages sent after missed pushes, by scope: room, everybody.");
    describe_histogram!(BATCH_RECORDS, "Records in a batch.");
    describe_histogram!(BATCH_SECONDS, "From a batch's arrival to its end, in seconds.");
    describe_histogram!(RECORD_AGE, "How old a record is once its people are told: from its own time, in seconds.");
    describe_histogram!(STEP_SECONDS, "One step's share of a batch, in seconds.");
    describe_counter!(STORE_RETRIES, "Database calls that were made again because the database was away.");
    describe_counter!(COMMIT_FAILURES, "Offset commits that failed; they are made again.");
    describe_counter!(REBALANCES, "Times the group gave or took partitions.");
    describe_gauge!(PARTITIONS, "Partitions assigned to this worker.");
    describe_gauge!(LAG, "Records behind the end of an assigned partition, by partition; 0 once it is another's.");
    describe_counter!(QUESTIONS_REFUSED, "Messages on the channel of `explain` that are no question.");
    zero();
}

/// A rate needs a first value, which would otherwise come with the first of what is to be noticed.
fn zero() {
    for outcome in ["inserted", "existing", "deleted", "refused"] {
        rows(outcome, 0);
    }
    for outcome in ["sent", "missed"] {
        pushes(outcome, 0);
    }
    for scope in ["room", "everybody"] {
        resyncs(scope, 0);
    }
    for counter in [RECORDS, ID_COLLISIONS, STORE_RETRIES, COMMIT_FAILURES, REBALANCES, QUESTIONS_REFUSED] {
        counter!(counter).absolute(0);
    }
    for reason in Rejection::LABELS {
        counter!(REJECTED, "reason" => reason).absolute(0);
    }
}

pub fn batch(records: usize, took: Duration) {
    counter!(RECORDS).increment(records as u64);
    histogram!(BATCH_RECORDS).record(records as f64);
    histogram!(BATCH_SECONDS).record(took);
}

pub fn record_age(age: Duration) {
    histogram!(RECORD_AGE).record(age);
}

pub fn step(step: &'static str, took: Duration) {
    histogram!(STEP_SECONDS, "step" => step).record(took);
}

pub fn rejected(reason: &'static str) {
    counter!(REJECTED, "reason" => reason).increment(1);
}

pub fn dead_letter(reason: &'static str) {
    counter!(DEAD_LETTERS, "reason" => reason).increment(1);
}

pub fn dead_letter_incomplete(left_out: &'static str) {
    counter!(DEAD_LETTERS_INCOMPLETE, "left_out" => left_out).increment(1);
}

pub fn dead_letter_retry() {
    counter!(DEAD_LETTER_RETRIES).increment(1);
}

pub fn rows(outcome: &'static str, count: u64) {
    counter!(ROWS, "outcome" => outcome).increment(count);
}

pub fn id_collisions(count: usize) {
    counter!(ID_COLLISIONS).increment(count as u64);
}

pub fn pushes(outcome: &'static str, count: usize) {
    counter!(PUSHES, "outcome" => outcome).increment(count as u64);
}

pub fn resyncs(scope: &'static str, count: usize) {
    counter!(RESYNCS, "scope" => scope).increment(count as u64);
}

pub fn store_retry() {
    counter!(STORE_RETRIES).increment(1);
}

pub fn commit_failure() {
    counter!(COMMIT_FAILURES).increment(1);
}

pub fn rebalance(partitions: usize) {
    counter!(REBALANCES).increment(1);
    gauge!(PARTITIONS).set(partitions as f64);
}

pub fn lag(partition: i32, records: i64) {
    gauge!(LAG, "partition" => partition.to_string()).set(records as f64);
}

pub fn question_refused() {
    counter!(QUESTIONS_REFUSED).increment(1);
}
