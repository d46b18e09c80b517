-- The SQLite twin of ../0001_reference.sql, for the embedded default.
-- Times are text: RFC 3339, UTC, milliseconds, `Z`; such text sorts as time does. JSON is text.

CREATE TABLE IF NOT EXISTS "Role" (
    id          TEXT PRIMARY KEY NOT NULL,
    identifier  TEXT NOT NULL UNIQUE,
    name        TEXT NOT NULL,
    priority    INTEGER NOT NULL DEFAULT 0,
    status      TEXT NOT NULL DEFAULT 'activated',
    created_at  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    modified_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    deleted_at  TEXT
);

CREATE TABLE IF NOT EXISTS "Permission" (
    id          TEXT PRIMARY KEY NOT NULL,
    code        TEXT NOT NULL UNIQUE,
    name        TEXT NOT NULL,
    subject     TEXT NOT NULL,
    action      TEXT NOT NULL,
    scope       TEXT NOT NULL,
    parent_id   TEXT,
    created_at  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    modified_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    deleted_at  TEXT
);

CREATE TABLE IF NOT EXISTS "PolicyDefinition" (
    id           TEXT PRIMARY KEY NOT NULL,
    variant      TEXT NOT NULL CHECK (variant IN ('policy', 'group')),
    subject_type TEXT NOT NULL,
    subject_id   TEXT NOT NULL,
    target_type  TEXT NOT NULL,
    target_id    TEXT NOT NULL,
    action       TEXT,
    effect       TEXT,
    domain       TEXT,
    created_at   TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    modified_at  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    deleted_at   TEXT
);

CREATE INDEX IF NOT EXISTS "PolicyDefinition_domain_members_idx"
    ON "PolicyDefinition" (domain, subject_id)
    WHERE variant = 'group' AND subject_type = 'User' AND target_type = 'Role' AND deleted_at IS NULL;

CREATE INDEX IF NOT EXISTS "PolicyDefinition_subject_idx"
    ON "PolicyDefinition" (subject_type, subject_id)
    WHERE deleted_at IS NULL;

CREATE TABLE IF NOT EXISTS "ActivityNotification" (
    id           TEXT PRIMARY KEY NOT NULL,
    event_id     TEXT NOT NULL,
    type         TEXT NOT NULL,
    recipient_id TEXT NOT NULL,
    organizer_id TEXT,
    merchant_id  TEXT,
    title        TEXT NOT NULL,
    content      TEXT NOT NULL,
    metadata     TEXT NOT NULL DEFAULT '{}',
    read_at      TEXT,
    created_at   TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    modified_at  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    deleted_at   TEXT,
    UNIQUE (event_id, recipient_id)
);

CREATE INDEX IF NOT EXISTS "ActivityNotification_inbox_idx"
    ON "ActivityNotification" (recipient_id, created_at DESC, id DESC)
    WHERE deleted_at IS NULL;

CREATE INDEX IF NOT EXISTS "ActivityNotification_unread_idx"
    ON "ActivityNotification" (recipient_id, created_at DESC, id DESC)
    WHERE deleted_at IS NULL AND read_at IS NULL;
