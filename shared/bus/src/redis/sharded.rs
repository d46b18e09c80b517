//! Sharded pub/sub of a Redis Cluster: a message is read by the shard of its channel's slot alone, and not by every node
//! of the cluster as with classic pub/sub.
//!
//! The redis crate has a client for clusters. It is not used, since its subscriptions have one unbounded queue that
//! tells nothing of losses, and what it subscribes again by itself after a slot has moved looks as if nothing had been
//! missed.

mod keeper;
mod link;
mod map;
mod publisher;
mod reply;
mod slot;
mod subscription;
mod survey;

pub(super) use self::{publisher::ShardedPublisher, subscription::open};
