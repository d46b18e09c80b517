//! Tables that are not the reference's: each way in which they do not fit, and those in which they may differ.

use signal_harness::{Postgres, require};

use super::{core::Core, differences, works};
use crate::fixture::{Fixture, on_both};

on_both!(variants, Fixture::empty_sqlite(), Fixture::empty_postgres().await,
    each_difference_says_where_and_what
    what_serves_as_well_is_taken
);

async fn each_difference_says_where_and_what(fixture: &Fixture) {
    let core = || Core::of(fixture);
    let row = "ActivityNotification";
    let unique = "CREATE UNIQUE INDEX picky ON \"ActivityNotification\"";
    let mut cases = vec![
        (core().without_table("Role"), "\"Role\": there is no such table"),
        (
            core().then("ALTER TABLE \"Permission\" RENAME TO p").then("CREATE VIEW \"Permission\" AS SELECT * FROM p"),
            "\"Permission\" is a view: Signal inserts rows, and relies on the keys of a table",
        ),
        (
            core().and(row, "tenant text NOT NULL"),
            "\"ActivityNotification\".tenant is not null and has no default: Signal does not know it and leaves it out",
        ),
        (
            core().and("PolicyDefinition", "tenant text NOT NULL"),
            "\"PolicyDefinition\".tenant is not null and has no default: Signal does not know it and leaves it out",
        ),
        (
            core().with(row, "organizer_id", "organizer_id text NOT NULL DEFAULT ''"),
            "\"ActivityNotification\".organizer_id is not null: Signal needs null there",
        ),
        (
            core().with("PolicyDefinition", "domain", "domain text NOT NULL"),
            "\"PolicyDefinition\".domain is not null: Signal needs null there",
        ),
        (
            core().with(row, "title", "title text GENERATED ALWAYS AS ('x') STORED"),
            "\"ActivityNotification\".title is always generated: Signal writes it itself",
        ),
        (core().keyed(""), "\"ActivityNotification\" (event_id, recipient_id) has no unique key"),
        (
            core().keyed("").then(&format!("{unique} (event_id, recipient_id) WHERE deleted_at IS NULL")),
            "\"ActivityNotification\" (event_id, recipient_id) has no unique key: \"picky\" holds for some rows alone",
        ),
        (
            core().keyed("").then(&format!("{unique} (recipient_id, type, event_id)")),
            "\"ActivityNotification\" (event_id, recipient_id) has no unique key: \"picky\" has further columns",
        ),
        (
            core().keyed("").then(&format!("{unique} (lower(event_id), recipient_id)")),
            "\"ActivityNotification\" (event_id, recipient_id) has no unique key",
        ),
        (
            core().then(&format!("{unique} (event_id)")),
            "\"ActivityNotification\" (event_id) has the unique index \"picky\", which keeps out rows that Signal has to \
             write",
        ),
        (core().with("Permission", "code", "code text NOT NULL"), "\"Permission\" (code) has no unique key"),
        (core().with(row, "id", "id text NOT NULL"), "\"ActivityNotification\" (id) has no unique key"),
    ];
    if fixture.is_postgres() {
        let variant = "variant variant NOT NULL";
        cases.extend([
            (core().with(row, "title", "title char(20)"), "\"ActivityNotification\".title is character(20): it has to be text or varchar"),
            (core().with(row, "title", "title text[]"), "\"ActivityNotification\".title is text[]: it has to be text or varchar"),
            (core().with(row, "merchant_id", "merchant_id uuid"), "\"ActivityNotification\".merchant_id is uuid: it has to be text or varchar"),
            (core().with("Role", "id", "id bigint PRIMARY KEY"), "\"Role\".id is bigint: it has to be text or varchar"),
            (
                core().with(row, "created_at", "created_at timestamp NOT NULL"),
                "\"ActivityNotification\".created_at is timestamp without time zone: it has to be timestamptz",
            ),
            (core().with(row, "metadata", "metadata text NOT NULL"), "\"ActivityNotification\".metadata is text: it has to be jsonb or json"),
            (
                core().after("CREATE TYPE variant AS ENUM ('policy', 'set')").with("PolicyDefinition", "variant", variant),
                "\"PolicyDefinition\".variant is variant, which lacks 'group'",
            ),
            (
                core().after("CREATE DOMAIN number AS integer").with(row, "event_id", "event_id number"),
                "\"ActivityNotification\".event_id is integer: it has to be text or varchar",
            ),
            (
                core().keyed("UNIQUE (event_id, recipient_id) DEFERRABLE"),
                "\"ActivityNotification\" (event_id, recipient_id) has no unique key: \
                 \"ActivityNotification_event_id_recipient_id_key\" is deferrable",
            ),
            (
                core().then("UPDATE pg_index SET indisvalid = false WHERE indexrelid = '\"Permission_code_key\"'::regclass"),
                "\"Permission\" (code) has no unique key: \"Permission_code_key\" is not valid, as its build has failed",
            ),
            (
                core()
                    .after("CREATE COLLATION caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
                    .with(row, "event_id", "event_id text COLLATE caseless NOT NULL"),
                "\"ActivityNotification\" (event_id, recipient_id) has no unique key: \
                 \"ActivityNotification_event_id_recipient_id_key\" takes different texts for the same, by its collation",
            ),
            (
                core().without_table("Role").then("CREATE SCHEMA core").then("CREATE TABLE core.\"Role\" (id text)"),
                "\"Role\": there is no such table; there is core.\"Role\", to which the search_path and this name do not \
                 lead",
            ),
            (
                core().without_table("Role").then("CREATE TABLE role (id text)"),
                "\"Role\": there is no such table; there is public.role, to which the search_path and this name do not lead",
            ),
        ]);
    } else {
        cases.extend([
            (
                core().with(row, "merchant_id", "merchant_id INTEGER"),
                "\"ActivityNotification\".merchant_id is INTEGER: it has to be text",
            ),
            (
                core().with(row, "event_id", "event_id NUMERIC"),
                "\"ActivityNotification\".event_id is NUMERIC: it has to be text",
            ),
            (
                core().with(row, "created_at", "created_at BIGINT"),
                "\"ActivityNotification\".created_at is BIGINT: it has to be text",
            ),
            (
                core().with(row, "event_id", "event_id TEXT NOT NULL COLLATE NOCASE"),
                "\"ActivityNotification\" (event_id, recipient_id) has no unique key: \
                 \"sqlite_autoindex_ActivityNotification_2\" takes different texts for the same, by its collation",
            ),
        ]);
    }
    for (core, line) in cases {
        assert_eq!(differences(&core.build().await).await, [line]);
    }
}

async fn what_serves_as_well_is_taken(fixture: &Fixture) {
    let role = r#"INSERT INTO "Role" (id, identifier, name, status) VALUES ('r1', 'super-admin', 'x', 'activated')"#;
    let core = || Core::of(fixture).then(role);
    let row = "ActivityNotification";
    let mut cases = vec![
        core().then("ALTER TABLE \"Role\" RENAME TO r").then("CREATE VIEW \"Role\" AS SELECT * FROM r"),
        core().keyed("").then("CREATE UNIQUE INDEX k ON \"ActivityNotification\" (recipient_id, event_id)"),
        core().and(row, "tenant text NOT NULL DEFAULT 'x', note text"),
        core().and("Role", "tenant text"),
        core()
            .then("CREATE UNIQUE INDEX k ON \"ActivityNotification\" (recipient_id, event_id) WHERE deleted_at IS NULL")
            .then("CREATE UNIQUE INDEX l ON \"Permission\" (subject, action)"),
    ];
    if fixture.is_postgres() {
        let words = "CREATE TYPE word AS ENUM ('policy', 'group', 'allow', 'deny', 'system', 'Role', 'Permission', 'activated')";
        cases.extend([
            core()
                .with(row, "event_id", "event_id varchar(300) NOT NULL")
                .with(row, "metadata", "metadata json NOT NULL")
                .with(row, "created_at", "created_at timestamptz(3) NOT NULL")
                .with("Role", "deleted_at", "deleted_at timestamp"),
            core().after("CREATE DOMAIN label AS varchar(255) NOT NULL").with(
                row,
                "recipient_id",
                "recipient_id label",
            ),
            core()
                .after(words)
                .with("PolicyDefinition", "variant", "variant word NOT NULL")
                .with("PolicyDefinition", "target_type", "target_type word NOT NULL")
                .with("PolicyDefinition", "effect", "effect word")
                .with("Permission", "scope", "scope word NOT NULL")
                .with("Role", "status", "status word NOT NULL"),
            core().and(row, "number bigint GENERATED ALWAYS AS IDENTITY UNIQUE, serial bigserial"),
        ]);
    } else {
        cases.push(
            core()
                .with(row, "event_id", "event_id VARCHAR(3) NOT NULL")
                .with(row, "metadata", "metadata JSON NOT NULL")
                .with(row, "created_at", "created_at DATETIME NOT NULL"),
        );
    }
    for core in cases {
        let fixture = core.build().await;
        assert_eq!(differences(&fixture).await, [""; 0]);
        works(&fixture).await;
    }
}
