import { el, fill, icon } from '../dom.ts';
import { money, relativeTime } from '../model/format.ts';
import type { Entry, Inbox } from '../model/inbox.ts';
import { safeFragment } from '../model/safe_html.ts';

export interface Bell {
  readonly button: HTMLElement;
  readonly panel: HTMLElement;
  update(): void;
  ring(): void;
  tick(): void;
  /** Shows a text above the list, or none. */
  note(text: string | undefined): void;
}

/** What a person does with what they see. */
export interface Reading {
  read(id: string): void;
  readAll(): void;
}

// Where the panel is a column of its own and covers nothing, it starts open.
const ROOMY = matchMedia('(min-width: 1120px)');

export function bellAndPanel(inbox: Inbox, { read, readAll: readAllShown }: Reading, over: AbortSignal): Bell {
  const items = new Map<string, HTMLLIElement>();
  const badge = el('span', { class: 'badge', 'aria-hidden': 'true' });
  const button = el('button', { type: 'button', class: 'bell', 'data-testid': 'bell', 'aria-controls': 'notifications', onclick: () => toggle() },
    icon('bell'), badge);
  const list = el('ol', { class: 'notifications' });
  const empty = el('p', { class: 'empty' }, 'Nothing yet. Take a payment at one of your merchants and it appears here.');
  const notice = el('p', { class: 'notice', hidden: true, role: 'status' });
  const readAll = el('button', { type: 'button', class: 'quiet', 'data-testid': 'read-all', onclick: readAllShown }, 'Mark all as read');
  const panel = el('aside', { id: 'notifications', class: 'panel', 'aria-label': 'Notifications' },
    el('div', { class: 'panel-head' },
      el('h2', {}, 'Notifications'), readAll,
      el('button', { type: 'button', class: 'icon-button panel-close', 'aria-label': 'Close notifications', onclick: () => toggle(false) }, icon('close'))),
    notice, empty, list);

  const open = (): boolean => !panel.hidden;
  const toggle = (wanted = !open()): void => {
    const returnFocus = !wanted && panel.contains(document.activeElement);
    panel.hidden = !wanted;
    // Read once, it has done its work.
    if (!wanted) notice.hidden = true;
    button.setAttribute('aria-expanded', String(wanted));
    if (returnFocus) button.focus();
  };
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && open()) { toggle(false); button.focus(); }
  }, { signal: over });

  const update = (): void => {
    const { unread, entries } = inbox;
    button.dataset['unread'] = String(unread);
    button.setAttribute('aria-label', unread === 0 ? 'Notifications' : `Notifications, ${unread} unread`);
    badge.textContent = unread === 0 ? '' : unread > 99 ? '99+' : String(unread);
    readAll.hidden = unread === 0;
    empty.hidden = entries.length > 0 || !inbox.loaded;
    button.toggleAttribute('data-loaded', inbox.loaded);
    document.title = document.title.replace(/^(\(\d+\) )?/, unread === 0 ? '' : `(${unread}) `);
    let next = list.firstElementChild;
    for (const entry of entries) {
      const item = items.get(entry.notification.id) ?? make(entry);
      // What stands where it belongs is left alone: to move it would take the focus away.
      if (item === next) next = item.nextElementSibling;
      else list.insertBefore(item, next);
      item.classList.toggle('unread', !entry.read);
      item.querySelector<HTMLElement>('.mark-read')?.toggleAttribute('hidden', entry.read);
    }
    const kept = new Set(entries.map(({ notification }) => notification.id));
    for (const [id, item] of items) if (!kept.has(id)) { item.remove(); items.delete(id); }
  };
  const make = (entry: Entry): HTMLLIElement => {
    const item = notificationItem(entry, read);
    items.set(entry.notification.id, item);
    return item;
  };
  const tick = (): void => {
    for (const time of list.querySelectorAll('time')) time.textContent = relativeTime(Date.parse(time.dateTime), Date.now());
  };
  const ring = (): void => {
    button.classList.remove('ringing');
    // Reading the layout restarts the animation when two arrive in a row.
    void button.offsetWidth;
    button.classList.add('ringing');
  };
  toggle(ROOMY.matches);
  update();
  return {
    button, panel, update, ring, tick,
    note: (text) => { notice.hidden = text === undefined; notice.textContent = text ?? ''; },
  };
}

function notificationItem({ notification }: Entry, read: (id: string) => void): HTMLLIElement {
  const { id, eventId, title, html, metadata, createdAt } = notification;
  // What the event carried beyond the columns of the row; absent for other types of events.
  const event = metadata?.['data'] as Readonly<Record<string, unknown>> | null | undefined;
  const amount = money(event?.['amount'], event?.['currency']);
  const body = el('div', { class: 'body' });
  body.append(safeFragment(html));
  const time = el('time', { datetime: createdAt, title: new Date(createdAt).toLocaleString() }, relativeTime(Date.parse(createdAt), Date.now()));
  const item = el('li', { class: 'notification', 'data-testid': 'notification', 'data-event-id': eventId });
  fill(item,
    el('div', { class: 'line' }, el('strong', { class: 'title' }, title), amount !== undefined && el('span', { class: 'amount' }, amount)),
    body,
    el('div', { class: 'line soft' }, time,
      el('button', { type: 'button', class: 'quiet mark-read', 'data-testid': 'mark-read', 'aria-label': `Mark as read: ${title}`, onclick: () => read(id) }, icon('check'), 'Read')));
  return item;
}
