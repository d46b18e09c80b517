import type { FrameRecord } from 'signal-client';
import { el } from '../dom.ts';
import { groupedHex, TAG_BYTES } from '../model/hex.ts';

/** The frame exactly as it crossed the wire, with nonce or tag and the ciphertext told apart. */
export const markedFrame = (record: FrameRecord): Node[] =>
  record.encoding === 'binary' ? markedBytes(record) : markedText(record);

function markedText({ raw, iv, sealed }: FrameRecord): Node[] {
  const at = iv === undefined ? -1 : raw.indexOf(iv);
  if (!sealed || iv === undefined || at < 0) return [new Text(raw)];
  const [ct = ''] = /[A-Za-z0-9+/=]{22,}/.exec(raw.slice(at + iv.length)) ?? [];
  const ctAt = ct === '' ? raw.length : raw.indexOf(ct, at + iv.length);
  return [
    new Text(raw.slice(0, at)), el('span', { class: 'iv' }, iv),
    new Text(raw.slice(at + iv.length, ctAt)), el('span', { class: 'ct' }, ct), new Text(raw.slice(ctAt + ct.length)),
  ];
}

function markedBytes({ raw, sealed }: FrameRecord): Node[] {
  const bytes = Uint8Array.from(atob(raw), (char) => char.charCodeAt(0));
  const end = sealed ? Math.max(0, bytes.length - TAG_BYTES) : bytes.length;
  const tag = groupedHex(bytes.subarray(end));
  return [el('span', { class: 'ct' }, groupedHex(bytes.subarray(0, end))), new Text(' '), el('span', { class: 'tag' }, tag)];
}

/** Reads as `JSON.stringify(value, null, 2)`, with names and kinds of values told apart. */
export function colouredJson(value: unknown, indent = ''): Node[] {
  if (typeof value !== 'object' || value === null) {
    const kind = typeof value === 'string' ? 'json-string' : 'json-other';
    return [el('span', { class: kind }, JSON.stringify(value))];
  }
  const list = Array.isArray(value);
  const entries = Object.entries(value as Record<string, unknown>);
  if (entries.length === 0) return [new Text(list ? '[]' : '{}')];
  const inner = `${indent}  `;
  const lines = entries.flatMap(([name, item], index): Node[] => [
    new Text(`${index === 0 ? '' : ','}\n${inner}`),
    ...(list ? [] : [el('span', { class: 'json-name' }, JSON.stringify(name)), new Text(': ')]),
    ...colouredJson(item, inner),
  ]);
  return [new Text(list ? '[' : '{'), ...lines, new Text(`\n${indent}${list ? ']' : '}'}`)];
}
