//! A backplane's server of either kind, as far as tests of both need it.

use std::{ops::Deref, sync::Arc};

use signal_bus::{Bus, Mode, nats::NatsBus, redis::RedisBus};
use signal_harness::{Nats, Redis, Restartable, Server};

pub(crate) trait Backplane: Server + Deref<Target = Restartable> + Sized {
    async fn launch() -> Self;
    fn reserved() -> Self;
    fn port(&self) -> u16;
    fn url(&self) -> String;
    async fn start(&self);
    /// The bus at an address of this kind.
    fn bus_at(url: &str, mode: Mode) -> Arc<dyn Bus>;
    /// The channels that are subscribed to one by one, once for each subscription, in order.
    async fn subscribed(&self) -> Vec<String>;

    fn bus(&self, mode: Mode) -> Arc<dyn Bus> {
        Self::bus_at(&self.url(), mode)
    }

    /// How errors begin that this server is the cause of.
    fn blames(&self, reason: &str) -> bool {
        let url = self.url();
        let (_, port) = url.rsplit_once(':').unwrap();
        reason.starts_with(&format!("{} at 127.0.0.1:{port}: ", Self::NAME))
    }
}

macro_rules! backplane {
    ($server:ident, $bus:ident, $this:ident => $subscribed:expr) => {
        impl Backplane for $server {
            async fn launch() -> Self {
                $server::launch().await
            }

            fn reserved() -> Self {
                $server::reserved()
            }

            fn port(&self) -> u16 {
                self.port()
            }

            fn url(&self) -> String {
                self.url()
            }

            async fn start(&self) {
                self.start().await;
            }

            fn bus_at(url: &str, mode: Mode) -> Arc<dyn Bus> {
                Arc::new($bus::new(url, mode).unwrap())
            }

            async fn subscribed(&self) -> Vec<String> {
                let $this = self;
                $subscribed
            }
        }
    };
}

backplane!(Redis, RedisBus, redis => {
    let channels = redis.command(&["PUBSUB", "CHANNELS"]).await.unwrap();
    let asked: Vec<&str> = ["PUBSUB", "NUMSUB"].into_iter().chain(channels.iter().map(String::as_str)).collect();
    let counted = redis.command(&asked).await.unwrap();
    let each = counted.chunks(2).flat_map(|pair| vec![pair[0].clone(); pair[1].parse().unwrap()]);
    let mut subscribed: Vec<_> = each.collect();
    subscribed.sort();
    subscribed
});

backplane!(Nats, NatsBus, nats => {
    let mut subjects = nats.subjects().await.unwrap();
    subjects.retain(|subject| !subject.contains('*'));
    // Names in these tests have nothing in them that is encoded.
    subjects.iter().map(|subject| subject.replacen('.', ":", 2)).collect()
});

/// Each of these, on Redis and on NATS.
macro_rules! on_each {
    ($($(#[$meta:meta])* $test:ident),+ $(,)?) => {
        mod redis {
            $(
                $(#[$meta])*
                #[tokio::test]
                async fn $test() {
                    signal_harness::require!(signal_harness::Redis);
                    super::$test::<signal_harness::Redis>().await;
                }
            )+
        }
        mod nats {
            $(
                $(#[$meta])*
                #[tokio::test]
                async fn $test() {
                    signal_harness::require!(signal_harness::Nats);
                    super::$test::<signal_harness::Nats>().await;
                }
            )+
        }
    };
}
pub(crate) use on_each;
