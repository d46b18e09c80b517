// The parts of the page that need no browser, bundled by the same esbuild as the page.
// Run by `npm test` in clients/typescript.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const page = join(dirname(fileURLToPath(import.meta.url)), '..');
const esbuild = createRequire(join(page, '../../clients/typescript/package.json'))('esbuild');

async function load(file) {
  const { outputFiles } = await esbuild.build({ entryPoints: [join(page, 'src', file)], bundle: true, write: false, format: 'esm' });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`);
}

const { safeMarkup } = await load('model/safe_html.ts');
const { Inbox } = await load('model/inbox.ts');
const { InboxSync } = await load('model/inbox_sync.ts');
const { groupedHex, nonceOf } = await load('model/hex.ts');
const { bytes, duration, initials, listed, money, relativeTime } = await load('model/format.ts');

const text = (value) => ({ nodeType: 3, nodeName: '#text', nodeValue: value, childNodes: [] });
const comment = (value) => ({ nodeType: 8, nodeName: '#comment', nodeValue: value, childNodes: [] });
const node = (tag, attributes, ...childNodes) => ({
  nodeType: 1, nodeName: tag.toUpperCase(), nodeValue: null, childNodes, getAttribute: (name) => attributes[name] ?? null,
});

test('the committed page is what its source builds', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [join(page, 'build.mjs'), '--check']);
  assert.match(stdout, /matches its source/);
});

test('listed tags survive without their attributes', () => {
  const markup = [node('p', { onclick: 'x()', style: 'x', class: 'x' }, node('strong', {}, text('125.000 ₫')), text(' from '), node('code', { id: 'x' }, text('A-1')))];
  assert.deepEqual(safeMarkup(markup), [{ tag: 'p', children: [{ tag: 'strong', children: ['125.000 ₫'] }, ' from ', { tag: 'code', children: ['A-1'] }] }]);
});

test('what can act is dropped with its content, what is unknown leaves its text', () => {
  for (const tag of ['script', 'style', 'template', 'iframe', 'object', 'svg', 'math', 'noscript', 'textarea']) {
    assert.deepEqual(safeMarkup([node(tag, {}, text('alert(1)'), node('p', {}, text('x')))]), [], tag);
  }
  for (const tag of ['img', 'form', 'input', 'video', 'base', 'link', 'meta']) assert.deepEqual(safeMarkup([node(tag, { src: 'x', onerror: 'x' })]), [], tag);
  assert.deepEqual(safeMarkup([node('h1', {}, text('big')), node('svg:a', {}, text('odd')), comment('<p>')]), ['big', 'odd']);
});

test('only addresses of the web can be links', () => {
  const link = (href) => safeMarkup([node('a', href === undefined ? {} : { href }, text('here'))])[0];
  assert.deepEqual(link('https://shop.test/a?b#c'), { tag: 'a', href: 'https://shop.test/a?b#c', children: ['here'] });
  for (const href of [undefined, '', '/relative', 'javascript:alert(1)', ' JaVaScRiPt:alert(1)', 'java\nscript:alert(1)', 'data:text/html,x', 'vbscript:x', 'blob:x', 'file:///etc']) {
    assert.equal(link(href), 'here', String(href));
  }
});

test('nesting without end is cut off', () => {
  let deep = text('bottom');
  for (let n = 0; n < 5_000; n += 1) deep = node('p', {}, deep);
  assert.ok(!JSON.stringify(safeMarkup([deep])).includes('bottom'));
});

// Ids and times grow together, as those of rows do.
const at = (n) => new Date(Date.UTC(2026, 10, 23, 8) + Number(n) * 1000).toISOString();
const notification = (id, more = {}) => ({ id, eventId: `evt_${id}`, readAt: null, createdAt: at(id), ...more });
const shown = (inbox) => inbox.entries.map((entry) => entry.notification.id);
const read = (inbox) => inbox.entries.filter((entry) => entry.read).map((entry) => entry.notification.id);

test('the inbox has each id once, newest first, and counts what is pushed unread', () => {
  let changes = 0;
  const inbox = new Inbox(() => { changes += 1; });
  assert.deepEqual(['1', '3', '1', '2'].map((id) => inbox.add(notification(id), 5)), [true, true, false, true]);
  assert.deepEqual(shown(inbox), ['3', '2', '1']);
  assert.deepEqual([inbox.unread, changes], [3, 3]);
  inbox.add(notification('4', { readAt: at(5) }), 6);
  assert.equal(inbox.unread, 3);
  assert.equal(inbox.byEvent('evt_3').arrivedAt, 5);
  assert.equal(inbox.byEvent('evt_9'), undefined);
});

test('of one time the higher id is the newer one', () => {
  const inbox = new Inbox(() => undefined);
  for (const id of ['a', 'Z', 'b', '0']) inbox.add({ ...notification('1'), id }, 0);
  assert.deepEqual(shown(inbox), ['b', 'a', 'Z', '0']);
});

test('the inbox keeps the newest hundred, whichever way they come', () => {
  const rows = Array.from({ length: 130 }, (_, n) => notification(String(n)));
  const [pushed, listed] = [new Inbox(() => undefined), new Inbox(() => undefined)];
  for (const row of rows) pushed.add(row, 0);
  listed.merge(rows, 0);
  for (const inbox of [pushed, listed]) {
    assert.deepEqual([inbox.entries.length, shown(inbox)[0], shown(inbox)[99]], [100, '129', '30']);
  }
  assert.deepEqual([pushed.unread, listed.unread], [130, 0], 'a list says nothing of how many there are');
});

test('a list adds what is missing, and what is read stays read', () => {
  const inbox = new Inbox(() => undefined);
  inbox.add(notification('2'), 1);
  inbox.add(notification('4'), 1);
  inbox.markRead({ ids: ['4'] });
  const added = inbox.merge([notification('4'), notification('3', { readAt: at(9) }), notification('2', { readAt: at(9) }), notification('1')], 7);
  assert.deepEqual(added.map(({ notification: { id }, arrivedAt }) => [id, arrivedAt]), [['3', 7], ['1', 7]]);
  assert.deepEqual([shown(inbox), read(inbox)], [['4', '3', '2', '1'], ['4', '3', '2']]);
});

test('some are read, or all, or all before a moment', () => {
  const inbox = new Inbox(() => undefined);
  inbox.merge(['1', '2', '3', '4', '5'].map((id) => notification(id)), 0);
  inbox.markRead({ ids: ['5', 'unknown'] });
  assert.deepEqual(read(inbox), ['5']);
  inbox.markRead({ all: true, before: at(3) });
  assert.deepEqual(read(inbox), ['5', '2', '1']);
  inbox.markRead({ all: true });
  assert.equal(read(inbox).length, 5);
  assert.equal(inbox.unread, 0);
});

test('of pushed counts the latest holds, in whatever order they come', () => {
  const inbox = new Inbox(() => undefined);
  inbox.pushed({ unread: 7, version: 10 });
  inbox.pushed({ unread: 5, version: 12 });
  inbox.pushed({ unread: 6, version: 11 });
  inbox.pushed({ unread: 9, version: 12 });
  assert.equal(inbox.unread, 5);
  inbox.add(notification('1'), 0);
  assert.equal(inbox.unread, 6);
  const before = inbox.revision;
  inbox.pushed({ unread: 0, version: 13 });
  assert.equal(inbox.counted(6, before), false, 'a count from before a push is not used');
  assert.equal(inbox.unread, 0);
  assert.equal(inbox.counted(3, inbox.revision), true);
  assert.equal(inbox.unread, 3);
});

/** A server whose answers are given by hand, and an inbox that is kept as it says. */
function synced() {
  const asked = [];
  const ask = (what) => () => new Promise((answer, fail) => asked.push({ what, answer, fail }));
  const heard = [];
  const inbox = new Inbox(() => undefined);
  const sync = new InboxSync(inbox, { list: ask('list'), unread: ask('unread') }, {
    found: (entries) => heard.push(entries.map((entry) => entry.notification.id)),
    failed: (error) => heard.push(error.message),
    done: () => heard.push('done'),
  });
  const next = async (what) => {
    while (asked.length === 0) await new Promise((turn) => setImmediate(turn));
    const request = asked.shift();
    assert.equal(request.what, what);
    return request;
  };
  return { inbox, sync, asked, heard, next };
}

test('a reading takes the list, then the count, which a push in between has asked again', async () => {
  const { inbox, sync, heard, next } = synced();
  const loading = sync.load();
  (await next('list')).answer([notification('2'), notification('1')]);
  const count = await next('unread');
  inbox.add(notification('3'), 0);
  count.answer(2);
  const again = await next('unread');
  assert.equal(inbox.loaded, false);
  again.answer(3);
  await loading;
  assert.deepEqual([shown(inbox), inbox.unread, inbox.loaded], [['3', '2', '1'], 3, true]);
  assert.deepEqual(heard, [['2', '1'], 'done']);
  sync.close();
});

test('what is missed while the list is read is read once more', async () => {
  const { inbox, sync, asked, next } = synced();
  const loading = sync.load();
  void sync.load();
  void sync.load();
  (await next('list')).answer([notification('1')]);
  (await next('unread')).answer(1);
  (await next('list')).answer([notification('2'), notification('1')]);
  (await next('unread')).answer(2);
  await loading;
  assert.deepEqual([shown(inbox), inbox.unread, asked.length], [['2', '1'], 2, 0]);
  sync.close();
});

test('a list that cannot be read is tried again, and a count that disagrees is set right', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { inbox, sync, asked, heard, next } = synced();
  const loading = sync.load();
  (await next('list')).fail(new Error('away'));
  await loading;
  assert.deepEqual(heard, ['away']);
  t.mock.timers.tick(10_000);
  (await next('list')).answer([notification('1')]);
  (await next('unread')).answer(1);
  while (!heard.includes('done')) await new Promise((turn) => setImmediate(turn));
  // This one was in the count already.
  inbox.add(notification('2'), 0);
  sync.recountSoon();
  sync.recountSoon();
  assert.equal(inbox.unread, 2);
  t.mock.timers.tick(10_000);
  const count = await next('unread');
  assert.equal(asked.length, 0, 'asked once for all that came');
  count.answer(1);
  while (inbox.unread !== 1) await new Promise((turn) => setImmediate(turn));
  sync.recountSoon();
  sync.close();
  t.mock.timers.tick(10_000);
  await new Promise((turn) => setImmediate(turn));
  assert.equal(asked.length, 0, 'whoever has left asks for nothing');
});

test('times, durations, sizes and names read as people say them', () => {
  const relative = (seconds) => relativeTime(1_000_000_000, 1_000_000_000 + seconds * 1000);
  assert.deepEqual([-3, 0, 4, 5, 59, 60, 3_599, 7_200, 90_000].map(relative),
    ['just now', 'just now', 'just now', '5 seconds ago', '59 seconds ago', '1 minute ago', '59 minutes ago', '2 hours ago', 'yesterday']);
  assert.deepEqual([0.01, 0.84, 34.4, 999, 1234].map(duration), ['0.1 ms', '0.8 ms', '34 ms', '999 ms', '1.2 s']);
  assert.deepEqual([506, 2048].map(bytes), ['506 B', '2.0 KiB']);
  assert.deepEqual(['Linh Trần', 'an', 'Đỗ Thị Mai', ' '].map(initials), ['LT', 'A', 'ĐT', '']);
  assert.deepEqual([[], ['a'], ['a', 'b'], ['a', 'b', 'c']].map(listed), ['', 'a', 'a and b', 'a, b and c']);
});

test('bytes are shown in groups of four, and of many the beginning', () => {
  const counting = (length) => Uint8Array.from({ length }, (_, n) => n);
  assert.deepEqual([0, 1, 4, 9].map((length) => groupedHex(counting(length))), ['', '00', '00010203', '00010203 04050607 08']);
  const long = groupedHex(counting(5_000));
  assert.match(long, /^00010203 .* … 904 bytes more …$/);
  assert.equal(long.split(' … ')[0].replaceAll(' ', '').length, 8_192);
});

test('the nonce of a frame is its number', () => {
  assert.equal(nonceOf(0), '00000000 0000000000000000');
  assert.equal(nonceOf(4_294_967_296), '00000000 0000000100000000');
});

test('an amount is shown in its currency, and only if it is one', () => {
  assert.equal(money('125000', 'VND'), '125.000\u00a0₫');
  assert.equal(money('24.9', 'USD'), '$24.90');
  assert.equal(money('1.1234', 'VND'), '1,1234\u00a0₫');
  assert.equal(money('125000.00', 'VND'), '125.000\u00a0₫');
  assert.equal(money('24.125', 'USD'), '$24.125');
  assert.equal(money('999999999999999.9999', 'USD'), '$999,999,999,999,999.9999');
  for (const [amount, currency] of [[125000, 'VND'], ['-1', 'USD'], ['1e9', 'USD'], ['', 'USD'], ['1', 'nope'], ['1', undefined]]) {
    assert.equal(money(amount, currency), undefined);
  }
});
