//! What a fleet is to do.

/// The goal on paper.
pub const GOAL: Need = Need { connections: 1e6, messages: 500e3 };
pub const GOAL_CORES: f64 = 10.0;
pub const GOAL_GIB: f64 = 8.0;

/// So many connections, and messages to clients in a second, each client's counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Need {
    pub connections: f64,
    pub messages: f64,
}

/// How the messages are made up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mix {
    pub name: &'static str,
    /// Shares of all messages; they add up to 1.
    pub parts: &'static [(f64, Audience)],
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Audience {
    Person,
    /// Members, on whichever edges they happen to be.
    Room(f64),
    Everybody,
}

impl Audience {
    pub fn size(self, connections: f64) -> f64 {
        match self {
            Self::Person => 1.0,
            Self::Room(members) => members.min(connections),
            Self::Everybody => connections,
        }
    }
}

pub const PEOPLE: Mix = Mix { name: "single people", parts: &[(1.0, Audience::Person)] };
pub const MIXED: Mix = Mix {
    name: "half people, a third rooms of 20, the rest everybody",
    parts: &[(0.5, Audience::Person), (0.333, Audience::Room(20.0)), (0.167, Audience::Everybody)],
};
pub const MIXES: [Mix; 5] = [
    PEOPLE,
    Mix { name: "rooms of 20", parts: &[(1.0, Audience::Room(20.0))] },
    Mix { name: "rooms of 1,000", parts: &[(1.0, Audience::Room(1000.0))] },
    Mix { name: "everybody", parts: &[(1.0, Audience::Everybody)] },
    MIXED,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_a_whole() {
        for mix in MIXES {
            let whole: f64 = mix.parts.iter().map(|(share, _)| share).sum();
            assert!((whole - 1.0).abs() < 1e-9, "{}: {whole}", mix.name);
        }
    }
}
