import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoffDelay, closeRule, CLOSE_RULES, createSeen } from '../dist/index.js';
import { parseConnected, parseEnvelope, parseMessage, reconnectDelay } from '../dist/protocol.js';
import { planRetry } from '../dist/retry.js';
import { inFrames, Rooms } from '../dist/rooms.js';
import { refreshDelay, tokenExpiry } from '../dist/token.js';

const MALFORMED = { name: 'SignalError', kind: 'malformed-frame' };

test('messages are read as the wire has them', () => {
  assert.deepEqual(parseMessage('{"event":"x"}'), { event: 'x' });
  assert.deepEqual(parseMessage('{"event":"x","data":null,"id":"1","more":2}'), { event: 'x', data: null, id: '1' });
});

test('what is not a message is refused', () => {
  const wrong = ['', 'x', '{', 'null', '[]', '1', '"x"', 'true', '{}', '{"event":""}', '{"event":1}', '{"event":null}', '{"event":["x"]}', '{"event":"x","id":1}', '['.repeat(20_000)];
  for (const text of wrong) assert.throws(() => parseMessage(text), MALFORMED, text.slice(0, 30));
});

const IV = Buffer.alloc(12).toString('base64');
const CT = Buffer.alloc(16).toString('base64');

test('what is not an envelope is refused', () => {
  assert.equal(parseEnvelope({ iv: IV, ct: CT }).ct.length, 16);
  const short = Buffer.alloc(11).toString('base64');
  const wrong = [undefined, null, [], 'x', 1, {}, { iv: IV }, { ct: CT }, { iv: 1, ct: CT }, { iv: IV, ct: {} }, { iv: short, ct: CT }, { iv: `${IV}AAAA`, ct: CT }, { iv: IV, ct: short }, { iv: IV, ct: CT.slice(0, -1) }, { iv: IV, ct: ` ${CT}` }, { iv: IV, ct: 'not base64!' }];
  for (const data of wrong) assert.throws(() => parseEnvelope(data), MALFORMED, JSON.stringify(data));
});

test('what is not `connected` is refused', () => {
  const good = { id: 'c', userId: 7, time: 't', serverPublicKey: Buffer.alloc(65, 4).toString('base64'), salt: Buffer.alloc(32).toString('base64') };
  assert.equal(parseConnected(good).userId, 7);
  const wrong = [undefined, null, [], ...Object.keys(good).flatMap((name) => [{ ...good, [name]: undefined }, { ...good, [name]: null }, { ...good, [name]: {} }, { ...good, [name]: true }]),
    { ...good, id: '' }, { ...good, salt: Buffer.alloc(31).toString('base64') }, { ...good, serverPublicKey: Buffer.alloc(64).toString('base64') }, { ...good, serverPublicKey: good.serverPublicKey.replace('=', '') }];
  for (const data of wrong) assert.throws(() => parseConnected(data), MALFORMED, JSON.stringify(data));
});

test('only a sensible delay is a delay', () => {
  assert.equal(reconnectDelay({ afterMs: 0 }), 0);
  for (const data of [undefined, null, {}, { afterMs: -1 }, { afterMs: '5' }, { afterMs: null }, [5]]) assert.equal(reconnectDelay(data), undefined);
});

// The table of the protocol, written out again: code, may it come back and how.
const TABLE = [
  [1001, 'announced'], [1009, 'never'], [4001, 'backoff'], [4002, 'backoff'], [4003, 'another-token'], [4004, 'never'],
  [4005, 'fresh-token'], [4006, 'never'], [4007, 'never'], [4008, 'backoff'], [4009, 'backoff'],
];

test('the close table is complete and nothing else is in it', () => {
  assert.deepEqual([...CLOSE_RULES].map(([code, { retry }]) => [code, retry]), TABLE);
  for (const code of [1000, 1005, 1006, 1011, 1012, 1013, 4000, 4999]) assert.equal(closeRule(code).retry, 'backoff');
});

const context = { failures: 3, now: 10_000, fixedToken: false, random: () => 0.5, backoff: { baseMs: 500, capMs: 30_000 } };

test('4009 keeps its distance even with the luckiest jitter, and the network coming back does not shorten it', () => {
  const plan = planRetry({ code: 4009, reason: '' }, { ...context, random: () => 0 });
  assert.equal(plan.delayMs, 1_000);
  assert.equal(plan.hasty, false);
  assert.equal(planRetry({ code: 1006, reason: '' }, { ...context, random: () => 0 }).delayMs, 0);
});

test('1001 waits for what is left of the announced delay, and without one backs off', () => {
  assert.equal(planRetry({ code: 1001, reason: '' }, { ...context, announcedAt: 12_500 }).delayMs, 2_500);
  assert.equal(planRetry({ code: 1001, reason: '' }, { ...context, announcedAt: 9_000 }).delayMs, 0);
  assert.equal(planRetry({ code: 1001, reason: '' }, context).delayMs, 1_000);
});

test('a constant token cannot become another one', () => {
  for (const code of [4003, 4005]) assert.equal(planRetry({ code, reason: '' }, { ...context, fixedToken: true }).kind, 'stop');
});

test('backoff doubles its bound up to the cap and stays inside it', () => {
  for (let attempt = 1; attempt <= 40; attempt += 1) {
    const bound = Math.min(30_000, 500 * 2 ** (attempt - 1));
    assert.equal(backoffDelay(attempt, () => 0), 0);
    assert.ok(backoffDelay(attempt, () => 1 - Number.EPSILON) < bound);
    assert.equal(backoffDelay(attempt, () => 0.5), bound / 2);
    for (let n = 0; n < 50; n += 1) {
      const delay = backoffDelay(attempt, Math.random);
      assert.ok(Number.isInteger(delay) && delay >= 0 && delay < bound);
    }
  }
  assert.equal(backoffDelay(5_000, () => 0.5), 15_000);
});

test('rooms that no edge takes are refused before anything is joined', () => {
  const rooms = new Rooms();
  for (const names of [[''], ['x'.repeat(257)], ['ws:x'], ['fine', 'ws:x'], [7]]) assert.throws(() => rooms.add(names), RangeError);
  assert.deepEqual(rooms.all(), []);
  rooms.add([...Array(256).keys()].map(String));
  rooms.add(['255']);
  assert.throws(() => rooms.add(['one more']), RangeError);
});

test('256 of the longest rooms fit into frames that the edge takes', () => {
  const names = [...Array(256).keys()].map((n) => `${n}`.padStart(256, '\u0001'));
  const frames = [...inFrames(names)];
  assert.deepEqual(frames.flat(), names);
  for (const rooms of frames) assert.ok(JSON.stringify({ event: 'join', data: { rooms } }).length * (4 / 3) < 127 * 1024);
});

test('expiry is read from a token that has one', () => {
  const token = (claims) => `h.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.s`;
  assert.equal(tokenExpiry(token({ exp: 1_795_423_864, name: 'ÿÿÿ>>>???' })), 1_795_423_864_000);
  for (const text of ['', 'opaque', 'a.b.c', token({}), token({ exp: '1' }), token(null), token([])]) assert.equal(tokenExpiry(text), undefined, text);
  for (let random = 0; random < 1; random += 0.1) {
    const delay = refreshDelay(600_000, () => random);
    assert.ok(delay <= 540_000 && delay >= 486_000, `${delay}`);
    assert.ok(refreshDelay(8_000, () => random) <= 6_000);
  }
});

test('seen knows an id until it is the longest unused', () => {
  const seen = createSeen(2);
  assert.deepEqual(['a', 'b', 'a', 'c', 'a', 'b'].map(seen), [false, false, true, false, true, false]);
});
