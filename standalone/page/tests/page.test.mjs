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

const notification = (id, more = {}) => ({ id, eventId: `evt_${id}`, readAt: null, ...more });

test('the inbox has each id once, newest first, and counts what is unread', () => {
  let changes = 0;
  const inbox = new Inbox(() => { changes += 1; });
  assert.deepEqual(['1', '2', '1', '3'].map((id) => inbox.add(notification(id), 5)), [true, true, false, true]);
  assert.deepEqual(inbox.entries.map((entry) => entry.notification.id), ['3', '2', '1']);
  assert.deepEqual([inbox.unread, changes], [3, 3]);
  inbox.markRead(['2', 'unknown']);
  assert.equal(inbox.unread, 2);
  inbox.add(notification('4', { readAt: '2026-11-23T08:00:00Z' }), 6);
  assert.equal(inbox.unread, 2);
  inbox.markRead('all');
  assert.equal(inbox.unread, 0);
  assert.equal(inbox.byEvent('evt_3').arrivedAt, 5);
  assert.equal(inbox.byEvent('evt_9'), undefined);
});

test('the inbox keeps the newest hundred', () => {
  const inbox = new Inbox(() => undefined);
  for (let n = 0; n < 130; n += 1) inbox.add(notification(String(n)), n);
  assert.deepEqual([inbox.entries.length, inbox.entries[0].notification.id, inbox.entries[99].notification.id], [100, '129', '30']);
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
