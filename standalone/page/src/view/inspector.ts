import type { FrameRecord } from 'signal-client';
import { el, fill, icon } from '../dom.ts';
import { bytes, clockTime } from '../model/format.ts';
import { nonceOf, TAG_BYTES } from '../model/hex.ts';
import { colouredJson, markedFrame } from './frame_text.ts';

const LIMIT = 60;

export interface InspectorCard {
  readonly element: HTMLElement;
  show(record: FrameRecord): void;
}

interface Row {
  readonly record: FrameRecord;
  readonly element: HTMLElement;
}

/** The last frames in both directions, each as it crossed the wire and as it reads once opened. */
export function inspectorCard(): InspectorCard {
  let rows: Row[] = [];
  let selected: Row | undefined;
  let count = 0;
  const follow = el('input', { type: 'checkbox', checked: true, onchange: () => { if (follow.checked) choose(rows[0]); } });
  const list = el('div', { class: 'frames', role: 'listbox', tabindex: 0, 'aria-label': 'Frames, newest first', onkeydown: (event: KeyboardEvent) => move(event) });
  const facts = el('dl', { class: 'facts inline' });
  const sealed = pane('On the wire', 'inspector-sealed');
  const plain = pane('Opened here', 'inspector-plain');
  const detail = el('div', { class: 'frame-detail' }, facts, el('div', { class: 'panes' }, sealed.element, plain.element));

  const choose = (row: Row | undefined): void => {
    if (row === undefined) return;
    selected?.element.setAttribute('aria-selected', 'false');
    selected = row;
    row.element.setAttribute('aria-selected', 'true');
    list.setAttribute('aria-activedescendant', row.element.id);
    const { record } = row;
    sealed.show(wireTitle(record), record.raw, markedFrame(record));
    plain.show(record.sealed ? 'Opened here' : 'The message in it', ...openedText(record));
    fill(facts, ...factsOf(record));
  };
  const pick = (row: Row | undefined): void => {
    if (row === undefined) return;
    follow.checked = row === rows[0];
    choose(row);
    row.element.scrollIntoView({ block: 'nearest' });
  };
  const move = (event: KeyboardEvent): void => {
    const at = selected === undefined ? -1 : rows.indexOf(selected);
    const targets: Readonly<Record<string, number>> = { ArrowDown: at + 1, ArrowUp: Math.max(0, at - 1), Home: 0, End: rows.length - 1 };
    const target = targets[event.key];
    if (target === undefined) return;
    event.preventDefault();
    pick(rows[Math.min(target, rows.length - 1)]);
  };
  const show = (record: FrameRecord): void => {
    const row: Row = { record, element: rowElement(record, count) };
    count += 1;
    row.element.addEventListener('click', () => pick(row));
    list.prepend(row.element);
    rows = [row, ...rows];
    for (const old of rows.splice(LIMIT)) old.element.remove();
    if (follow.checked || selected === undefined) choose(row);
  };

  return {
    show,
    element: el('section', { class: 'card inspector', 'aria-labelledby': 'inspector-title' },
      el('div', { class: 'card-head' }, el('h2', { id: 'inspector-title' }, 'Frames'), el('label', { class: 'check' }, follow, 'Follow the newest')),
      el('div', { class: 'inspector-body' }, list, detail)),
  };
}

function rowElement(record: FrameRecord, index: number): HTMLElement {
  const way = record.direction === 'in' ? 'received' : 'sent';
  return el('div', { class: `frame ${record.direction}`, id: `frame-${index}`, role: 'option', 'aria-selected': 'false',
    'data-testid': 'inspector-row', 'data-direction': record.direction, 'data-event': record.event, 'data-sealed': String(record.sealed), 'data-encoding': record.encoding },
    icon(record.direction), el('span', { class: 'visually-hidden' }, way),
    el('span', { class: 'frame-event' }, shortEvent(record.event)),
    icon(record.sealed ? 'lock' : 'unlocked'),
    el('time', { class: 'soft' }, clockTime(record.at)));
}

const shortEvent = (event: string | undefined): string => event?.replace('observation/signal/', '') ?? 'does not open';

function wireTitle({ sealed, encoding }: FrameRecord): string {
  if (!sealed) return 'On the wire, clear';
  return encoding === 'binary' ? 'On the wire, in hex' : 'On the wire, sealed';
}

function openedText(record: FrameRecord): [string, readonly Node[]] {
  if (record.plaintext === undefined) {
    return [record.sealed ? 'This frame does not open under the key of this connection.' : 'This frame is not sealed, as it has to be.', []];
  }
  const value: unknown = JSON.parse(record.plaintext);
  return [JSON.stringify(value, null, 2), colouredJson(value)];
}

function factsOf(record: FrameRecord): HTMLElement[] {
  const rows: readonly (readonly [string, string, (string | undefined)?])[] = [
    ['Direction', record.direction === 'in' ? 'edge to this window' : 'this window to edge'],
    ['Event', record.event ?? '–'],
    ['Size', bytes(record.size)],
    ...nonceFacts(record),
    ['Time', `${clockTime(record.at)}.${String(record.at % 1000).padStart(3, '0')}`],
  ];
  return rows.map(([name, value, style]) => el('div', {}, el('dt', {}, name), el('dd', { class: style }, value)));
}

/** v1 sends its nonce along; that of v2 is the frame's number, and only the tag at the end stands out. */
function nonceFacts({ iv, counter }: FrameRecord): readonly (readonly [string, string, string?])[] {
  if (counter !== undefined) return [['Nonce, not sent', nonceOf(counter), 'mono'], ['Tag', `last ${TAG_BYTES} bytes`, 'tag']];
  return [iv === undefined ? ['IV', 'none'] : ['IV', iv, 'mono iv']];
}

function pane(title: string, testid: string): { element: HTMLElement; show(title: string, text: string, nodes: readonly Node[]): void } {
  let copyable = '';
  const heading = el('h3', {}, title);
  const copied = el('span', { class: 'soft', role: 'status' });
  const copy = el('button', { type: 'button', class: 'quiet', 'aria-label': `Copy: ${title}`, onclick: () => {
    void navigator.clipboard.writeText(copyable).then(() => { copied.textContent = 'Copied'; }, () => { copied.textContent = 'Not allowed'; });
  } }, icon('copy'), 'Copy');
  const text = el('pre', { tabindex: 0, 'data-testid': testid, 'aria-label': title });
  return {
    element: el('div', { class: 'pane' }, el('div', { class: 'pane-head' }, heading, copied, copy), text),
    show: (newTitle, content, nodes) => {
      copyable = content;
      heading.textContent = newTitle;
      copied.textContent = '';
      fill(text, ...(nodes.length === 0 ? [content] : nodes));
    },
  };
}
