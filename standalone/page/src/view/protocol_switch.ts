import type { Protocol } from 'signal-client';
import { el } from '../dom.ts';

const CHOICES: readonly Protocol[] = [2, 1];

/** Which protocol to ask the edge for; `choose` is called when it becomes another one. */
export function protocolSwitch(asked: Protocol, choose: (protocol: Protocol) => void): HTMLElement {
  const choices = CHOICES.map((protocol) => el('label', {},
    el('input', {
      type: 'radio', name: 'protocol', value: protocol, checked: protocol === asked,
      'data-testid': `speak-v${protocol}`, onchange: () => choose(protocol),
    }), `v${protocol}`));
  return el('fieldset', { class: 'segments' }, el('legend', { class: 'visually-hidden' }, 'Protocol to ask for'), ...choices);
}
