//! The Rust SDK of Signal: an encrypted, self-healing stream of typed events.
//!
//! ```no_run
//! use signal_client::{Client, Event};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let (client, mut events) = Client::builder("wss://shop.example/stream")
//!     .token(|| async { Ok::<_, std::io::Error>("a token of the issuer".to_owned()) })
//!     .connect()?;
//! client.join(["dashboard"])?;
//! while let Some(event) = events.next().await {
//!     match event {
//!         Event::Message(message) => match message.notification() {
//!             Some(notification) => println!("{}", notification?.title),
//!             None => println!("{}: {:?}", message.event(), message.raw_data()),
//!         },
//!         // Pushes may have been missed: read the list over REST again.
//!         Event::Resync { reason } => println!("resync: {reason}"),
//!         other => println!("{other:?}"),
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`Client`] outlives sockets, edges and tokens. [`Session`] is the layer below: one socket, authenticated once,
//! never healed, for tests and load generators.

mod builder;
mod client;
pub mod dial;
mod disconnect;
mod driver;
mod event;
mod message;
mod refresh;
mod retry;
mod rooms;
mod seen;
pub mod session;
mod token;

pub use builder::{Builder, ConfigError};
pub use client::{Client, SendError, State};
pub use disconnect::{Close, Disconnect};
pub use event::{Closed, Event, Events, Problem};
pub use message::Message;
pub use refresh::RefreshError;
pub use rooms::RoomError;
pub use session::{Connected, Endpoint, Session};
pub use signal_wire::{
    backoff::Backoff, close::CloseCode, notification::Notification, protocol::Protocol, refresh::Refreshed,
};
