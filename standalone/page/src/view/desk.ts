import { type Notification, type Pin, type Protocol, SignalClient, type Unsubscribe } from 'signal-client';
import { ApiError, NotificationsApi, type Person, type Settings, signIn } from '../api.ts';
import { announce, el, icon } from '../dom.ts';
import { initials, listed } from '../model/format.ts';
import { Inbox } from '../model/inbox.ts';
import { InboxSync } from '../model/inbox_sync.ts';
import { Line } from '../model/line.ts';
import { themeButton } from '../theme.ts';
import { bellAndPanel, type Reading } from './bell.ts';
import { connectionCard } from './connection.ts';
import { inspectorCard } from './inspector.ts';
import { mark } from './mark.ts';
import { paymentCard } from './payment.ts';

export interface Desk {
  readonly element: HTMLElement;
  close(): void;
}

/** Where the page is: what serves it, and who that proved to be beforehand. */
export interface Place {
  readonly settings: Settings;
  readonly pin: Pin | undefined;
}

/** Everything that a person who signed in has on screen, around one connection. */
export function openDesk({ settings, pin }: Place, people: readonly Person[], person: Person, leave: () => void): Desk {
  const url = new URL(settings.streamPath, location.href);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  const token = async (): Promise<string> => (await signIn(person.id)).token;
  const make = (protocol: Protocol): SignalClient =>
    new SignalClient({ url: url.href, token, protocol, ...(pin === undefined || protocol === 1 ? {} : { pin }) });
  const over = new AbortController();

  const inbox = new Inbox(() => bell.update());
  const api = new NotificationsApi(settings.basePath, token);
  const bell = bellAndPanel(inbox, reading(inbox, api, (text) => bell.note(text), () => sync.recountSoon()), over.signal);
  const inspector = inspectorCard();
  const payment = paymentCard(people, person, inbox);
  const sync = new InboxSync(inbox, api, {
    found: (entries) => entries.forEach(({ notification: { eventId }, arrivedAt }) => payment.arrived(eventId, arrivedAt)),
    failed: (error) => bell.note(`The list cannot be read at the moment. ${inWords(error)} It is tried again.`),
    done: () => bell.note(undefined),
  });

  const listen = (signal: SignalClient): readonly Unsubscribe[] => [
    signal.on('observation/signal/notification/created', (notification) => arrive(notification)),
    signal.on('observation/signal/notification/read', (read) => inbox.markRead(read)),
    signal.on('observation/signal/notification/unread', (count) => { inbox.pushed(count); sync.recountSoon(); }),
    signal.on('resync', () => void sync.load()),
    signal.on('state', () => connection.update()),
    signal.on('frame', (record) => inspector.show(record)),
  ];
  const line = new Line(make, listen);
  const connection = connectionCard(line, settings, (protocol) => void line.speak(protocol).then(() => sync.load()));
  const arrive = (notification: Notification): void => {
    const arrivedAt = performance.now();
    if (!inbox.add(notification, arrivedAt)) return;
    payment.arrived(notification.eventId, arrivedAt);
    bell.ring();
    announce(`${notification.title}. ${notification.content}`);
    sync.recountSoon();
  };
  // Relative times and the countdown; nothing else on the page needs a pulse.
  const pulse = setInterval(() => { bell.tick(); connection.update(); }, 1000);

  document.title = `${person.name} · Signal`;
  connection.update();
  line.connect();
  // Not before the line: what comes while the list is read is then pushed, and nothing falls between.
  void sync.load();
  const element = el('div', { class: 'desk' },
    el('header', { class: 'bar' }, mark(), connection.pill, el('span', { class: 'bar-space' }), themeButton(), whoAmI(person, leave), bell.button),
    el('div', { class: 'columns' },
      el('main', { id: 'main', tabindex: -1, class: 'work' },
        intro(people, person),
        el('div', { class: 'pair' }, payment.element, connection.element),
        inspector.element),
      bell.panel),
    el('footer', { class: 'foot' }, footer(settings)));
  return {
    element,
    close: () => {
      clearInterval(pulse);
      over.abort();
      sync.close();
      line.close();
    },
  };
}

/** What is read is marked at the server; this window learns it from the answer, the person's others from a push. */
function reading(inbox: Inbox, api: NotificationsApi, note: (text: string) => void, changed: () => void): Reading {
  const tell = async (marking: Promise<unknown>, read: Parameters<Inbox['markRead']>[0]): Promise<void> => {
    try {
      await marking;
      inbox.markRead(read);
      changed();
    } catch (error) {
      note(`It could not be marked as read. ${inWords(error)}`);
    }
  };
  return {
    read: (id) => void tell(api.read(id), { ids: [id] }),
    readAll: () => {
      const newest = inbox.entries[0]?.notification.createdAt;
      if (newest === undefined) return;
      // What this window has not shown has not been read.
      const before = new Date(Date.parse(newest) + 1).toISOString();
      void tell(api.readAll(before), { all: true, before });
    },
  };
}

const inWords = (error: unknown): string => (error instanceof ApiError ? error.message : 'Something went wrong in this page.');

function whoAmI(person: Person, leave: () => void): HTMLElement {
  return el('div', { class: 'who' },
    el('span', { class: 'avatar small', 'aria-hidden': 'true' }, initials(person.name)),
    el('span', { class: 'who-name' }, person.name),
    el('button', { type: 'button', class: 'quiet', 'data-testid': 'sign-out', onclick: leave }, 'Sign out'));
}

function intro(people: readonly Person[], person: Person): HTMLElement {
  const others = people.filter(({ id }) => id !== person.id).map((other) =>
    el('a', { class: 'chip', href: `?as=${encodeURIComponent(other.id)}`, target: '_blank', rel: 'noopener' },
      icon('window'), other.name, el('span', { class: 'visually-hidden' }, ' (opens a new window)')));
  return el('div', { class: 'intro' },
    el('div', {},
      el('h1', {}, `Hello, ${person.name}`),
      el('p', {}, `${person.role} at ${listed(person.merchants.map(({ name }) => name))}`)),
    el('p', { class: 'others' }, 'Open a window as ', ...others));
}

function footer({ version, embedded }: Settings): string {
  const parts = Object.entries(embedded).map(([part, how]) =>
    `${part}: ${typeof how === 'string' ? how : how ? 'embedded' : 'external'}`);
  return [`Signal ${version}`, ...parts].join('  ·  ');
}
