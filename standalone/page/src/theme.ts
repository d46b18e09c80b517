import { el, fill, icon } from './dom.ts';

const THEMES = ['system', 'light', 'dark'] as const;
type Theme = (typeof THEMES)[number];
const KEY = 'signal.theme';

function stored(): Theme {
  const value = localStorage.getItem(KEY);
  return THEMES.find((theme) => theme === value) ?? 'system';
}

function apply(theme: Theme): void {
  document.documentElement.dataset['theme'] = theme;
}

export function restoreTheme(): void {
  apply(stored());
}

/** Goes round: as the system has it, light, dark. */
export function themeButton(): HTMLButtonElement {
  let theme = stored();
  const button = el('button', { type: 'button', class: 'icon-button', onclick: () => turn() });
  const show = (): void => {
    fill(button, icon(theme));
    button.setAttribute('aria-label', `Theme: ${theme}`);
    button.title = `Theme: ${theme}`;
  };
  const turn = (): void => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? 'system';
    localStorage.setItem(KEY, theme);
    apply(theme);
    show();
  };
  show();
  return button;
}
