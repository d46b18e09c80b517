import { CLOSE, type ConnectedState, type Protocol, type State } from 'signal-client';
import type { Settings } from '../api.ts';
import { el, fill, icon, setAttribute } from '../dom.ts';
import { clockTime, duration } from '../model/format.ts';
import type { Line } from '../model/line.ts';
import { protocolSwitch } from './protocol_switch.ts';

export interface ConnectionCard {
  readonly element: HTMLElement;
  readonly pill: HTMLElement;
  update(): void;
}

const HISTORY = 4;

export function connectionCard(line: Line, settings: Settings, speak: (protocol: Protocol) => void): ConnectionCard {
  const pillText = el('span');
  const pill = el('span', { class: 'pill', 'data-testid': 'connection-state', role: 'status' }, el('span', { class: 'dot', 'aria-hidden': 'true' }), pillText);
  const headline = el('p', { class: 'headline' });
  const detail = el('p', { class: 'soft' });
  const retry = el('button', { type: 'button', class: 'button small', onclick: () => line.connect() }, 'Try now');
  const facts = el('dl', { class: 'facts' });
  const history = el('ol', { class: 'history', 'aria-label': 'What happened to the connection' });
  const element = el('section', { class: 'card connection', 'data-testid': 'connection', 'aria-labelledby': 'connection-title' },
    el('div', { class: 'card-head' }, el('h2', { id: 'connection-title' }, 'Connection'), protocolSwitch(line.asked, speak)),
    el('div', { class: 'standing' }, el('div', {}, headline, detail), retry), facts, history);

  let shown: State | undefined;
  const update = (): void => {
    const { state } = line;
    const { title, text } = inWords(state, Date.now());
    headline.textContent = title;
    detail.textContent = text;
    if (state === shown) return;
    // Only changes of state are told to assistive technology, not each second of a countdown.
    pillText.textContent = title;
    pill.dataset['state'] = state.name;
    element.dataset['state'] = state.name;
    element.dataset['protocol'] = state.name === 'connected' ? String(state.negotiated.protocol) : '';
    element.dataset['identity'] = state.name === 'connected' && state.negotiated.identity.verified ? 'proven' : '';
    setAttribute(retry, 'hidden', state.name !== 'waiting' && state.name !== 'closed');
    fill(facts, ...factsOf(state, line.asked, settings));
    const remarkable = state.name === 'connected' || state.name === 'closed' || (state.name === 'waiting' && shown?.name !== 'waiting');
    if (remarkable) {
      // The same failure again is one line with its latest time.
      if (history.firstElementChild?.lastChild?.textContent === remark(state)) history.firstElementChild.remove();
      history.prepend(el('li', {}, el('time', {}, clockTime(Date.now())), remark(state)));
    }
    while (history.childElementCount > HISTORY) history.lastElementChild?.remove();
    shown = state;
  };
  return { element, pill, update };
}

function inWords(state: State, now: number): { title: string; text: string } {
  switch (state.name) {
    case 'idle': return { title: 'Not connected', text: '' };
    case 'connecting': return { title: 'Connecting', text: state.attempt > 1 ? `Attempt ${state.attempt}` : 'Opening the socket' };
    case 'authenticating': return { title: 'Authenticating', text: 'Token check and key agreement' };
    case 'connected': return { title: 'Connected', text: `Everything from here on is sealed. Since ${clockTime(state.since)}.` };
    case 'closed': return { title: 'Closed', text: `${why(state)}. This one does not come back by itself.` };
    case 'waiting': {
      const seconds = Math.ceil(Math.max(0, state.retryAt - now) / 1000);
      const when = seconds === 0 ? 'now' : `in ${seconds} s`;
      return { title: 'Reconnecting', text: `${why(state)}. Attempt ${state.attempt} ${when}.` };
    }
  }
}

function remark(state: State): string {
  if (state.name === 'connected') return `Connected with v${state.negotiated.protocol} in ${duration(state.openMs + state.handshakeMs)}`;
  return state.name === 'waiting' || state.name === 'closed' ? why(state) : '';
}

/** 1006 is what a browser says when nobody gave a code; it would tell people nothing. */
function why({ reason, code }: { readonly reason: string; readonly code: number }): string {
  return code === CLOSE.ABNORMAL ? reason : `${reason} (${code})`;
}

interface Fact {
  readonly name: string;
  readonly value: string | undefined;
  readonly style?: string;
  readonly sign?: 'lock' | 'check' | undefined;
}

function factsOf(state: State, asked: Protocol, { streamPath }: Settings): HTMLElement[] {
  const connected = state.name === 'connected' ? state : undefined;
  const facts: readonly Fact[] = [
    { name: 'Protocol', value: connected && `${spoken(connected, asked)} · ${streamPath}` },
    { name: 'Identity', ...identityOf(connected) },
    { name: 'Frames', value: connected && FRAMES[connected.negotiated.protocol] },
    { name: 'Key agreement', value: connected?.negotiated.keyAgreement },
    { name: 'Key derivation', value: connected?.negotiated.keyDerivation },
    { name: 'Cipher', value: connected?.negotiated.cipher, sign: 'lock' },
    { name: 'Client id', value: connected?.clientId, style: 'mono' },
    { name: 'Socket open', value: connected && duration(connected.openMs) },
    { name: 'Handshake', value: connected && duration(connected.handshakeMs) },
  ];
  return facts.map(({ name, value, style, sign }) => el('div', {}, el('dt', {}, name),
    el('dd', { class: style }, sign !== undefined && value !== undefined && icon(sign), value ?? '–')));
}

const FRAMES: Readonly<Record<Protocol, string>> = { 1: 'JSON with base64', 2: 'binary and numbered' };

function spoken({ negotiated }: ConnectedState, asked: Protocol): string {
  return negotiated.protocol === asked ? `v${asked}` : `v${negotiated.protocol}, all that this edge knows`;
}

function identityOf(connected: ConnectedState | undefined): Omit<Fact, 'name'> {
  if (connected === undefined) return { value: undefined };
  const { protocol, identity } = connected.negotiated;
  if (identity.verified) return { value: `proven by ${identity.keyId.slice(0, 8)}…`, sign: 'check' };
  if (protocol === 1) return { value: 'not proven: v1 cannot' };
  return { value: identity.claimedKeyId === undefined ? 'not proven: the edge has no key' : 'claimed, not checked' };
}
