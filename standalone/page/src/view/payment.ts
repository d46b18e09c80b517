import { ApiError, type Merchant, type Person, takePayment } from '../api.ts';
import { el, fill, icon, setAttribute } from '../dom.ts';
import { duration, initials, listed } from '../model/format.ts';
import type { Inbox } from '../model/inbox.ts';
import { field, type Field } from './field.ts';

export interface PaymentCard {
  readonly element: HTMLElement;
  /** A notification of that event reached this window. */
  arrived(eventId: string, at: number): void;
}

const AMOUNTS: Readonly<Record<string, string>> = { VND: '125000', USD: '24.90', EUR: '18.50', JPY: '3200' };
const METHODS: readonly (readonly [string, string])[] = [['CARD', 'Card'], ['QR', 'QR code'], ['CASH', 'Cash'], ['BANK_TRANSFER', 'Bank transfer']];

interface Taken {
  readonly eventId: string;
  readonly clickedAt: number;
  readonly acceptedAt: number;
  readonly recipients: readonly Person[];
}

export function paymentCard(people: readonly Person[], person: Person, inbox: Inbox): PaymentCard {
  const merchants = [...new Map(people.flatMap((one) => one.merchants).map((one) => [one.id, one])).values()];
  const own = person.merchants[0]?.id;
  const merchant = select('pay-merchant', merchants.map(({ id, name }: Merchant) => [id, name]), own);
  const currency = select('pay-currency', Object.keys(AMOUNTS).map((code) => [code, code]));
  const amount = el('input', { id: 'pay-amount', 'data-testid': 'pay-amount', inputmode: 'decimal', autocomplete: 'off', required: true, value: AMOUNTS['VND'] });
  const order = el('input', { id: 'pay-order', 'data-testid': 'pay-order', autocomplete: 'off', required: true, value: firstOrderCode() });
  const method = select('pay-method', METHODS);
  const leaveOut = el('input', { type: 'checkbox', id: 'pay-leave-out', 'data-testid': 'pay-leave-out' });
  const submit = el('button', { type: 'submit', class: 'button primary', 'data-testid': 'pay-submit' }, 'Take payment');
  const notifies = el('p', { class: 'notifies' });
  const result = el('div', { class: 'result', role: 'status', 'data-testid': 'pay-result' });
  const fields: Readonly<Record<string, Field>> = {
    merchantId: field('Merchant', merchant), amount: field('Amount', amount), currency: field('Currency', currency),
    orderCode: field('Order', order), paymentMethod: field('Method', method),
  };

  const recipients = (): Person[] => people.filter((one) =>
    one.merchants.some(({ id }) => id === merchant.value) && !(leaveOut.checked && one.id === person.id));
  const showRecipients = (): void => fill(notifies, 'Notifies: ', ...recipients().map((one) =>
    el('span', { class: 'chip still' }, el('span', { class: 'avatar tiny', 'aria-hidden': 'true' }, initials(one.name)), one.id === person.id ? `${one.name} (you)` : one.name)),
    recipients().length === 0 && 'nobody');

  let taken: Taken | undefined;
  const showResult = (): void => {
    if (taken !== undefined) fill(result, ...outcome(taken, person, inbox.byEvent(taken.eventId)?.arrivedAt));
  };
  const pay = async (clickedAt: number): Promise<void> => {
    const to = recipients();
    for (const one of Object.values(fields)) one.problem(undefined);
    submit.disabled = true;
    try {
      const actor = leaveOut.checked ? { actorId: person.id } : {};
      const { eventId } = await takePayment({
        merchantId: merchant.value, amount: amount.value.trim(), currency: currency.value,
        orderCode: order.value.trim(), paymentMethod: method.value, ...actor,
      });
      taken = { eventId, clickedAt, acceptedAt: performance.now(), recipients: to };
      order.value = nextOrderCode(order.value);
      showResult();
    } catch (error) {
      taken = undefined;
      showRefusal(error, fields, result);
    } finally {
      submit.disabled = false;
    }
  };

  currency.addEventListener('change', () => {
    if (Object.values(AMOUNTS).includes(amount.value)) amount.value = AMOUNTS[currency.value] ?? amount.value;
  });
  merchant.addEventListener('change', showRecipients);
  leaveOut.addEventListener('change', showRecipients);
  showRecipients();
  const form = el('form', { novalidate: true, onsubmit: (event: SubmitEvent) => { event.preventDefault(); void pay(performance.now()); } },
    fields['merchantId']?.element, notifies,
    el('div', { class: 'row' }, fields['amount']?.element, fields['currency']?.element),
    el('div', { class: 'row even' }, fields['orderCode']?.element, fields['paymentMethod']?.element),
    el('label', { class: 'check' }, leaveOut, 'Leave me out (I am the cashier)'),
    submit, result);
  const element = el('section', { class: 'card payment', 'aria-labelledby': 'payment-title' }, el('h2', { id: 'payment-title' }, 'Take a payment'), form);
  return { element, arrived: (eventId) => { if (eventId === taken?.eventId) showResult(); } };
}

function outcome(taken: Taken, person: Person, arrivedAt: number | undefined): HTMLElement[] {
  const accepted = step('done', `Accepted in ${duration(taken.acceptedAt - taken.clickedAt)}`);
  const others = taken.recipients.filter(({ id }) => id !== person.id).map(({ name }) => name);
  if (!taken.recipients.some(({ id }) => id === person.id)) {
    return [accepted, step('plain', others.length === 0 ? 'Nobody is left to notify' : `On its way to ${listed(others)}, not to you`)];
  }
  if (arrivedAt === undefined) return [accepted, step('pending', 'On its way here')];
  const here = step('done', `Arrived in ${duration(arrivedAt - taken.clickedAt)}`);
  here.dataset['testid'] = 'pay-arrived';
  return [accepted, here];
}

function step(kind: 'done' | 'pending' | 'plain', text: string): HTMLElement {
  return el('p', { class: `step ${kind}` }, kind === 'done' ? icon('check') : el('span', { class: 'dot', 'aria-hidden': 'true' }), text);
}

/** Problems stand at their fields; what belongs to none stands at the button. */
function showRefusal(error: unknown, fields: Readonly<Record<string, Field>>, result: HTMLElement): void {
  const refusal = error instanceof ApiError ? error : new ApiError('Something went wrong in this page.');
  const homeless = refusal.fields.filter(({ path, message }) => {
    const at = fields[String(path).split(/[./]/).at(-1) ?? ''];
    at?.problem(message);
    return at === undefined;
  });
  const first = Object.values(fields).find(({ control }) => control.getAttribute('aria-invalid') === 'true');
  first?.control.focus();
  const texts = refusal.fields.length === 0 ? [refusal.message] : homeless.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`));
  if (first !== undefined && texts.length === 0) texts.push('Not taken: please look at the marked field.');
  fill(result, ...texts.map((text) => el('p', { class: 'problem' }, text)),
    refusal.requestId !== undefined && el('p', { class: 'soft mono' }, `request ${refusal.requestId}`));
}

function select(id: string, options: readonly (readonly [string, string])[], chosen?: string): HTMLSelectElement {
  const element = el('select', { id, 'data-testid': id }, ...options.map(([value, text]) => el('option', { value }, text)));
  if (chosen !== undefined) element.value = chosen;
  setAttribute(element, 'required', true);
  return element;
}

const firstOrderCode = (): string => `A-${1000 + Math.floor(Math.random() * 8000)}`;

/** The next number where there is one, so that a row of payments reads like a row of orders. */
function nextOrderCode(code: string): string {
  const found = /^(.*?)(\d{1,9})$/.exec(code.trim());
  return found === null ? firstOrderCode() : `${found[1]}${String(Number(found[2]) + 1).padStart(found[2]?.length ?? 0, '0')}`;
}
