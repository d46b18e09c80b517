import { el, setAttribute } from '../dom.ts';

export interface Field {
  readonly element: HTMLElement;
  readonly control: HTMLInputElement | HTMLSelectElement;
  /** Shows what is wrong with it, or with `undefined` that nothing is. */
  problem(text: string | undefined): void;
}

export function field(label: string, control: HTMLInputElement | HTMLSelectElement): Field {
  const about = `${control.id}-problem`;
  const problem = el('p', { id: about, class: 'problem', hidden: true });
  return {
    element: el('div', { class: 'field' }, el('label', { for: control.id }, label), control, problem),
    control,
    problem: (text) => {
      problem.textContent = text ?? '';
      problem.hidden = text === undefined;
      setAttribute(control, 'aria-invalid', text === undefined ? undefined : 'true');
      setAttribute(control, 'aria-describedby', text === undefined ? undefined : about);
    },
  };
}
