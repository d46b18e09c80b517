//! One slot's channels, and where they are heard.

use super::links::Attached;
use crate::{
    confirmation::Confirmations,
    holdings::{Changes, Holdings},
    redis::sharded::{link::LinkId, slot::Slot},
};

#[derive(Debug, Default)]
pub(super) struct Placed {
    pub(super) holdings: Holdings,
    pub(super) confirmations: Confirmations,
    /// The link that was told to subscribe all of them.
    pub(super) at: Option<LinkId>,
    /// The number by which that was.
    placing: u64,
    /// Whether it was confirmed: what was held then is heard.
    pub(super) is_settled: bool,
}

impl Placed {
    pub(super) fn holds_any(&self) -> bool {
        self.holdings.len() > 0
    }

    /// Subscribes all channels at a link that is up.
    pub(super) fn place(&mut self, slot: Slot, attached: &mut Attached) {
        self.at = Some(attached.id);
        self.placing = self.confirmations.sent();
        self.is_settled = false;
        let next = attached.next();
        let channels: Vec<&str> = self.holdings.all().map(|(channel, _)| channel).collect();
        next.commands.subscribe(&channels);
        next.parts.push((slot, self.placing));
        self.confirmations.connected();
    }

    /// Says what has changed to the link where the slot is.
    pub(super) fn apply(&mut self, slot: Slot, attached: &mut Attached) {
        let Changes { subscribe, unsubscribe } = self.holdings.changes();
        if subscribe.is_empty() && unsubscribe.is_empty() {
            return;
        }
        let next = attached.next();
        next.commands.unsubscribe(unsubscribe.into_iter().map(|held| held.channel).collect());
        let subscribe: Vec<&str> = subscribe.iter().map(|held| held.channel.as_str()).collect();
        next.commands.subscribe(&subscribe);
        next.parts.push((slot, self.confirmations.sent()));
    }

    pub(super) fn confirm(&mut self, number: u64) {
        self.confirmations.confirm(number);
        self.is_settled |= number >= self.placing;
    }

    /// Returns whether anything was heard there.
    pub(super) fn lose(&mut self) -> bool {
        self.at = None;
        self.confirmations.lost();
        std::mem::take(&mut self.is_settled) && self.holds_any()
    }
}
