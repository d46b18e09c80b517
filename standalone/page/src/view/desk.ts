import { type Notification, type Pin, type Protocol, SignalClient, type Unsubscribe } from 'signal-client';
import { type Person, type Settings, signIn } from '../api.ts';
import { announce, el, icon } from '../dom.ts';
import { initials, listed } from '../model/format.ts';
import { Inbox } from '../model/inbox.ts';
import { Line } from '../model/line.ts';
import { themeButton } from '../theme.ts';
import { bellAndPanel } from './bell.ts';
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
  const bell = bellAndPanel(inbox, over.signal);
  const inspector = inspectorCard();
  const payment = paymentCard(people, person, inbox);

  const missed = (): void => bell.note('Notifications may not have reached this window. They are kept in the database; reading them into this list comes with the REST API, in a later version.');
  const listen = (signal: SignalClient): readonly Unsubscribe[] => [
    signal.on('observation/signal/notification/created', (notification) => arrive(notification)),
    signal.on('observation/signal/notification/read', ({ ids, all }) => inbox.markRead(all === true ? 'all' : ids ?? [])),
    signal.on('resync', missed),
    signal.on('state', () => connection.update()),
    signal.on('frame', (record) => inspector.show(record)),
  ];
  const line = new Line(make, listen);
  const connection = connectionCard(line, settings, (protocol) => void line.speak(protocol).then(missed));
  const arrive = (notification: Notification): void => {
    const arrivedAt = performance.now();
    if (!inbox.add(notification, arrivedAt)) return;
    payment.arrived(notification.eventId, arrivedAt);
    bell.ring();
    announce(`${notification.title}. ${notification.content}`);
    document.title = `(${inbox.unread}) ${person.name} · Signal`;
  };
  // Relative times and the countdown; nothing else on the page needs a pulse.
  const pulse = setInterval(() => { bell.tick(); connection.update(); }, 1000);

  document.title = `${person.name} · Signal`;
  connection.update();
  line.connect();
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
      line.close();
    },
  };
}

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
