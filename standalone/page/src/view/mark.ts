import { el } from '../dom.ts';

export function mark(): HTMLElement {
  return el('span', { class: 'mark' }, el('img', { src: 'assets/icon.svg', alt: '', width: 28, height: 28 }), 'Signal');
}
