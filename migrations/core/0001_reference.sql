-- Reference schema of the tables that the platform's core owns and Signal reads and writes.
-- For development, tests and the embedded default; `signal-worker migrate --with-core-schema` applies it.
-- Everything is "if not exists": applying it to a database that has the tables changes nothing.

CREATE TABLE IF NOT EXISTS "Role" (
    id          text PRIMARY KEY,
    identifier  text NOT NULL UNIQUE,
    name        text NOT NULL,
    priority    integer NOT NULL DEFAULT 0,
    status      text NOT NULL DEFAULT 'activated',
    created_at  timestamptz NOT NULL DEFAULT now(),
    modified_at timestamptz NOT NULL DEFAULT now(),
    deleted_at  timestamptz
);

CREATE TABLE IF NOT EXISTS "Permission" (
    id          text PRIMARY KEY,
    code        text NOT NULL UNIQUE,
    name        text NOT NULL,
    subject     text NOT NULL,
    action      text NOT NULL,
    scope       text NOT NULL,
    parent_id   text,
    created_at  timestamptz NOT NULL DEFAULT now(),
    modified_at timestamptz NOT NULL DEFAULT now(),
    deleted_at  timestamptz
);

CREATE TABLE IF NOT EXISTS "PolicyDefinition" (
    id           text PRIMARY KEY,
    variant      text NOT NULL CHECK (variant IN ('policy', 'group')),
    subject_type text NOT NULL,
    subject_id   text NOT NULL,
    target_type  text NOT NULL,
    target_id    text NOT NULL,
    action       text,
    effect       text,
    domain       text,
    created_at   timestamptz NOT NULL DEFAULT now(),
    modified_at  timestamptz NOT NULL DEFAULT now(),
    deleted_at   timestamptz
);

-- Who belongs to an organizer or a merchant, in the order in which large audiences are paged.
CREATE INDEX IF NOT EXISTS "PolicyDefinition_domain_members_idx"
    ON "PolicyDefinition" (domain, subject_id)
    WHERE variant = 'group' AND subject_type = 'User' AND target_type = 'Role' AND deleted_at IS NULL;

-- What a principal or a role may do.
CREATE INDEX IF NOT EXISTS "PolicyDefinition_subject_idx"
    ON "PolicyDefinition" (subject_type, subject_id)
    WHERE deleted_at IS NULL;

CREATE TABLE IF NOT EXISTS "ActivityNotification" (
    -- Base62 in byte order is the order of creation, whatever the database's own collation.
    id           text COLLATE "C" PRIMARY KEY,
    event_id     text NOT NULL,
    type         text NOT NULL,
    recipient_id text NOT NULL,
    organizer_id text,
    merchant_id  text,
    title        text NOT NULL,
    content      text NOT NULL,
    metadata     jsonb NOT NULL DEFAULT '{}',
    read_at      timestamptz,
    created_at   timestamptz NOT NULL DEFAULT now(),
    modified_at  timestamptz NOT NULL DEFAULT now(),
    deleted_at   timestamptz,
    -- Also holds for deleted rows: a redelivered event does not bring back what a person removed.
    CONSTRAINT "ActivityNotification_event_id_recipient_id_key" UNIQUE (event_id, recipient_id)
);

CREATE INDEX IF NOT EXISTS "ActivityNotification_inbox_idx"
    ON "ActivityNotification" (recipient_id, created_at DESC, id DESC)
    WHERE deleted_at IS NULL;

CREATE INDEX IF NOT EXISTS "ActivityNotification_unread_idx"
    ON "ActivityNotification" (recipient_id, created_at DESC, id DESC)
    WHERE deleted_at IS NULL AND read_at IS NULL;
