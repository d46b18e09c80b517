import { type Person, readIdentity, readPeople, readSettings } from './api.ts';
import { el, fill } from './dom.ts';
import { restoreTheme } from './theme.ts';
import { openDesk, type Place } from './view/desk.ts';
import { signInScreen } from './view/sign_in.ts';

// Who this tab is. The token is not kept: it is asked for again whenever a connection needs one.
const KEY = 'signal.person';

function chosenPerson(people: readonly Person[]): Person | undefined {
  const id = new URL(location.href).searchParams.get('as') ?? sessionStorage.getItem(KEY);
  return people.find((person) => person.id === id);
}

function forgetPerson(): void {
  sessionStorage.removeItem(KEY);
  const url = new URL(location.href);
  url.searchParams.delete('as');
  history.replaceState(null, '', url);
}

function show(root: HTMLElement, place: Place, people: readonly Person[], person: Person | undefined): void {
  if (person === undefined) {
    document.title = 'Signal';
    fill(root, signInScreen(people, place.settings, (chosen) => show(root, place, people, chosen)));
    root.querySelector<HTMLElement>('h1')?.focus();
    return;
  }
  sessionStorage.setItem(KEY, person.id);
  const desk = openDesk(place, people, person, () => {
    desk.close();
    forgetPerson();
    show(root, place, people, undefined);
  });
  fill(root, desk.element);
}

async function start(root: HTMLElement): Promise<void> {
  try {
    const [settings, people] = await Promise.all([readSettings(), readPeople()]);
    const pin = await readIdentity(settings.basePath);
    show(root, { settings, pin }, people, chosenPerson(people));
  } catch (error) {
    const again = el('button', { type: 'button', class: 'button', onclick: () => void start(root) }, 'Try again');
    const text = error instanceof Error ? error.message : 'The server did not answer.';
    fill(root, el('main', { id: 'main', tabindex: -1, class: 'sorry' }, el('h1', {}, 'Not there yet'), el('p', {}, text), again));
  }
}

restoreTheme();
const root = document.querySelector<HTMLElement>('#app');
if (root !== null) void start(root);
