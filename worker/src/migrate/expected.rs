//! What Signal's statements need of the tables that the platform's core owns: those of the worker, of the seeds, and of
//! the edge's permissions. One declaration for both dialects; columns that nothing of Signal reads or fills are not
//! in it.

/// A table, with what has to hold of it.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    pub name: &'static str,
    pub rows: Rows,
    pub columns: &'static [Column],
    /// Columns that no two rows may have the same values in.
    pub keys: &'static [&'static [&'static str]],
    /// Columns that an index should begin with. Without one the answers are the same, and late.
    pub lookups: &'static [&'static [&'static str]],
}

impl Table {
    pub fn column(&self, name: &str) -> Option<&'static Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// Which rows Signal inserts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// None: it may be a view, and needs no keys.
    None,
    /// Those of the seeds.
    Seeded,
    /// Whatever events say.
    Any,
}

#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub name: &'static str,
    pub kind: Kind,
    /// Whether Signal's inserts name it.
    pub filled: bool,
    /// Whether it has to be able to hold null: Signal leaves it so, or reads something into it.
    pub nullable: bool,
    /// Characters of the longest text that Signal may write; 0 where that can't be more than a column of any use holds.
    pub longest: u32,
}

/// What a column has to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// One of a few words that only constants are compared with or inserted as, so that it may be an enum of at least these.
    Word(&'static [&'static str]),
    Time,
    Json,
    /// Whether it is null is all that is asked.
    Mark,
}

const fn text(name: &'static str) -> Column {
    Column { name, kind: Kind::Text, filled: false, nullable: false, longest: 0 }
}

const fn word(name: &'static str, words: &'static [&'static str]) -> Column {
    Column { kind: Kind::Word(words), ..text(name) }
}

const fn time(name: &'static str) -> Column {
    Column { kind: Kind::Time, ..text(name) }
}

const fn json(name: &'static str) -> Column {
    Column { kind: Kind::Json, ..text(name) }
}

const fn mark(name: &'static str) -> Column {
    Column { kind: Kind::Mark, nullable: true, ..text(name) }
}

impl Column {
    const fn filled(self) -> Self {
        Self { filled: true, ..self }
    }

    const fn nullable(self) -> Self {
        Self { nullable: true, ..self }
    }

    const fn up_to(self, longest: u32) -> Self {
        Self { longest, ..self }
    }
}

/// Ids of events and people are bounded in bytes (`MAX_ID_BYTES`); this is what people usually make columns for ids of.
const ID: u32 = 255;
/// Two values of 200 characters, each of which may be escaped, and the words around them.
const CONTENT: u32 = 1000;

pub const TABLES: [Table; 4] = [
    Table {
        name: "ActivityNotification",
        rows: Rows::Any,
        columns: &[
            text("id").filled().up_to(11),
            text("event_id").filled().up_to(ID),
            text("type").filled().up_to(ID),
            text("recipient_id").filled().up_to(ID),
            text("organizer_id").filled().nullable().up_to(ID),
            text("merchant_id").filled().nullable().up_to(ID),
            text("title").filled().up_to(100),
            text("content").filled().up_to(CONTENT),
            json("metadata").filled(),
            time("read_at").nullable(),
            time("created_at").filled(),
            time("modified_at").filled(),
            time("deleted_at").nullable(),
        ],
        // The second makes an event that is delivered again find its rows. It has to hold for deleted rows too.
        keys: &[&["id"], &["event_id", "recipient_id"]],
        lookups: &[&["recipient_id", "created_at"]],
    },
    Table {
        name: "PolicyDefinition",
        rows: Rows::Seeded,
        columns: &[
            text("id").filled(),
            word("variant", &["policy", "group"]).filled(),
            text("subject_type").filled(),
            text("subject_id").filled(),
            word("target_type", &["Role", "Permission"]).filled(),
            text("target_id").filled(),
            text("action").filled(),
            word("effect", &["allow", "deny"]).filled(),
            text("domain").nullable(),
            mark("deleted_at"),
        ],
        keys: &[&["id"]],
        lookups: &[&["domain", "subject_id"], &["subject_type", "subject_id"]],
    },
    Table {
        name: "Permission",
        rows: Rows::Seeded,
        columns: &[
            text("id").filled(),
            text("code").filled(),
            text("name").filled(),
            text("subject").filled(),
            text("action").filled(),
            word("scope", &["system"]).filled(),
            mark("deleted_at"),
        ],
        keys: &[&["id"], &["code"]],
        lookups: &[],
    },
    Table {
        name: "Role",
        rows: Rows::None,
        columns: &[text("id"), text("identifier"), word("status", &["activated"]), mark("deleted_at")],
        keys: &[],
        lookups: &[],
    },
];
