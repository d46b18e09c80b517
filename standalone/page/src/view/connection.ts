import { CLOSE, SignalClient, type State } from 'signal-client';
import type { Settings } from '../api.ts';
import { el, fill, icon, setAttribute } from '../dom.ts';
import { clockTime, duration } from '../model/format.ts';

export interface ConnectionCard {
  readonly element: HTMLElement;
  readonly pill: HTMLElement;
  update(): void;
}

const HISTORY = 4;

export function connectionCard(signal: SignalClient, settings: Settings): ConnectionCard {
  const pillText = el('span');
  const pill = el('span', { class: 'pill', 'data-testid': 'connection-state', role: 'status' }, el('span', { class: 'dot', 'aria-hidden': 'true' }), pillText);
  const headline = el('p', { class: 'headline' });
  const detail = el('p', { class: 'soft' });
  const retry = el('button', { type: 'button', class: 'button small', onclick: () => signal.connect() }, 'Try now');
  const facts = el('dl', { class: 'facts' });
  const history = el('ol', { class: 'history', 'aria-label': 'What happened to the connection' });
  const element = el('section', { class: 'card connection', 'aria-labelledby': 'connection-title' },
    el('h2', { id: 'connection-title' }, 'Connection'),
    el('div', { class: 'standing' }, el('div', {}, headline, detail), retry), facts, history);

  let shown: State | undefined;
  const update = (): void => {
    const state = signal.state;
    const { title, text } = inWords(state, Date.now());
    headline.textContent = title;
    detail.textContent = text;
    if (state === shown) return;
    // Only changes of state are told to assistive technology, not each second of a countdown.
    pillText.textContent = title;
    pill.dataset['state'] = state.name;
    element.dataset['state'] = state.name;
    setAttribute(retry, 'hidden', state.name !== 'waiting' && state.name !== 'closed');
    fill(facts, ...factsOf(state, settings));
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
  if (state.name === 'connected') return `Connected in ${duration(state.openMs + state.handshakeMs)}`;
  return state.name === 'waiting' || state.name === 'closed' ? why(state) : '';
}

/** 1006 is what a browser says when nobody gave a code; it would tell people nothing. */
function why({ reason, code }: { readonly reason: string; readonly code: number }): string {
  return code === CLOSE.ABNORMAL ? reason : `${reason} (${code})`;
}

function factsOf(state: State, settings: Settings): HTMLElement[] {
  const none = '–';
  const connected = state.name === 'connected' ? state : undefined;
  const rows: readonly (readonly [string, string | undefined, string?])[] = [
    ['Protocol', connected && `v${connected.negotiated.protocol} · ${settings.streamPath}`],
    ['Key agreement', connected?.negotiated.keyAgreement],
    ['Key derivation', connected?.negotiated.keyDerivation],
    ['Cipher', connected?.negotiated.cipher],
    ['Client id', connected?.clientId, 'mono'],
    ['Socket open', connected && duration(connected.openMs)],
    ['Handshake', connected && duration(connected.handshakeMs)],
  ];
  return rows.map(([name, value, style]) => el('div', {}, el('dt', {}, name),
    el('dd', { class: style }, name === 'Cipher' && value !== undefined && icon('lock'), value ?? none)));
}
