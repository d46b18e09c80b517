//! The worker: activity events from Kafka become rows and pushes.
