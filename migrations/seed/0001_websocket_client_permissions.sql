-- What the management API under {base}/socket/websocket/clients asks for. Postgres and SQLite both read this file.
-- A row that is there already is left as it is, also when an operator changed or deleted it.

INSERT INTO "Permission" (id, code, name, subject, action, scope) VALUES
    ('signal-websocket-client-list',           'WebSocketClient.list',         'List WebSocket clients',         'WebSocketClient', 'list',         'system'),
    ('signal-websocket-client-get',            'WebSocketClient.get',          'Read one WebSocket client',      'WebSocketClient', 'get',          'system'),
    ('signal-websocket-client-broadcast',      'WebSocketClient.broadcast',    'Send to all WebSocket clients',  'WebSocketClient', 'broadcast',    'system'),
    ('signal-websocket-client-send-to-room',   'WebSocketClient.sendToRoom',   'Send to a WebSocket room',       'WebSocketClient', 'sendToRoom',   'system'),
    ('signal-websocket-client-send-to-client', 'WebSocketClient.sendToClient', 'Send to one WebSocket client',   'WebSocketClient', 'sendToClient', 'system'),
    ('signal-websocket-client-disconnect',     'WebSocketClient.disconnect',   'Disconnect a WebSocket client',  'WebSocketClient', 'disconnect',   'system')
ON CONFLICT DO NOTHING;
