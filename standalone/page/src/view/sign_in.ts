import type { Person, Settings } from '../api.ts';
import { el, icon } from '../dom.ts';
import { initials, listed } from '../model/format.ts';
import { themeButton } from '../theme.ts';
import { mark } from './mark.ts';

export function signInScreen(people: readonly Person[], settings: Settings, choose: (person: Person) => void): HTMLElement {
  return el('div', { class: 'welcome' },
    el('header', { class: 'welcome-bar' }, themeButton()),
    el('main', { id: 'main', tabindex: -1, class: 'welcome-main' },
      mark(),
      el('h1', { tabindex: -1 }, 'The right people know, at once.'),
      el('p', { class: 'lead' },
        'Take a payment in one window and watch the bell light up in another: through the broker, into the database, and over a sealed WebSocket to those whom it concerns.'),
      el('h2', { class: 'eyebrow' }, 'Sign in as'),
      el('ul', { class: 'people' }, ...people.map((person) => el('li', {}, personButton(person, choose)))),
      el('p', { class: 'hint' }, icon('window'), 'Two windows can be two people.')),
    el('footer', { class: 'foot' }, `Signal ${settings.version}`));
}

function personButton(person: Person, choose: (person: Person) => void): HTMLButtonElement {
  return el('button', { type: 'button', class: 'person', 'data-testid': `person-${person.id}`, onclick: () => choose(person) },
    el('span', { class: 'avatar', 'aria-hidden': 'true' }, initials(person.name)),
    el('span', { class: 'person-text' },
      el('strong', {}, person.name),
      el('span', {}, person.role),
      el('span', { class: 'soft' }, listed(person.merchants.map(({ name }) => name)))));
}
