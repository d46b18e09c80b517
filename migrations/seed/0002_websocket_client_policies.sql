-- The role that the platform gives to its operators holds these permissions. Where the core has not made that role
-- yet nothing is inserted; applying the seeds again after it has closes the gap. A grant that an operator deleted
-- stays deleted.

INSERT INTO "PolicyDefinition" (id, variant, subject_type, subject_id, target_type, target_id, action, effect)
SELECT
    'signal-' || role.id || '-' || permission.id, 'policy', 'Role', role.id, 'Permission', permission.id,
    permission.action, 'allow'
FROM "Role" AS role
CROSS JOIN "Permission" AS permission
WHERE role.identifier = 'super-admin'
    AND role.deleted_at IS NULL
    AND permission.code IN (
        'WebSocketClient.list', 'WebSocketClient.get', 'WebSocketClient.broadcast',
        'WebSocketClient.sendToRoom', 'WebSocketClient.sendToClient', 'WebSocketClient.disconnect'
    )
    AND NOT EXISTS (
        SELECT 1
        FROM "PolicyDefinition" AS policy
        WHERE policy.variant = 'policy'
            AND policy.subject_type = 'Role'
            AND policy.subject_id = role.id
            AND policy.target_type = 'Permission'
            AND policy.target_id = permission.id
            AND policy.action = permission.action
    )
ON CONFLICT DO NOTHING;
