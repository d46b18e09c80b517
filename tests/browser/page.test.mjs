import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { findBrowser, launch, openWindow } from './browser.mjs';
import { assertSealed } from './sealed.mjs';
import { startSignal } from './signal.mjs';

const { path, missing } = findBrowser();

// Minh works at one merchant only, Thảo at the other only, Lan at both.
const MINH = { id: 'user-minh', merchant: 'mer-cafe-79' };
const THAO = { id: 'user-thao', merchant: 'mer-banh-mi-sen' };
const LAN = { id: 'user-lan' };

describe('the demo page', { skip: missing ?? false }, () => {
  let signal, browser;
  let windows = [];

  before(async () => { [signal, browser] = await Promise.all([startSignal(), launch(path)]); });
  after(async () => { await browser?.close(); await signal?.stop(); });
  beforeEach(() => { windows = []; });
  afterEach(async () => { for (const { context } of windows) await context.close(); });

  const open = async (query = '') => {
    const window = await openWindow(browser, `${signal.url}/${query}`);
    windows.push(window);
    return window;
  };
  const openAs = async (person) => {
    const window = await open(`?as=${person.id}`);
    await Promise.all([window.connected(), window.loaded()]);
    return window;
  };
  /** Takes a payment at a merchant and waits until this window has it, in front of what it had. */
  const pay = async (window, merchant) => {
    const known = await window.notifications();
    await window.get('pay-merchant').selectOption(merchant);
    await window.get('pay-submit').click();
    await window.nextAfter(known);
  };
  const noProblems = async () => {
    for (const window of windows) assert.deepEqual(await window.problems(), []);
  };

  test('a payment lights up the right window and not the other', async () => {
    const [minh, thao] = [await openAs(MINH), await openAs(THAO)];
    const known = { minh: await minh.notifications(), thao: await thao.notifications() };

    await minh.get('pay-merchant').selectOption(MINH.merchant);
    await minh.get('pay-amount').fill('125000');
    await minh.get('pay-order').fill('A-1042');
    await minh.get('pay-submit').click();
    const arrived = await minh.nextAfter(known.minh);
    assert.match(await arrived.innerText(), /A-1042/);
    assert.match(await arrived.innerText(), /125[.,]000/);
    assert.equal(await minh.unread(), 1);

    // The other merchant's payment, from the same window: when it is there, the first has had its time.
    await minh.get('pay-merchant').selectOption(THAO.merchant);
    await minh.get('pay-order').fill('B-7');
    await minh.get('pay-submit').click();
    const other = await thao.nextAfter(known.thao);
    assert.match(await other.innerText(), /B-7/);

    const [atMinh, atThao] = [await minh.notifications(), await thao.notifications()];
    assert.deepEqual(atMinh.slice(1), known.minh);
    assert.deepEqual(atThao.slice(1), known.thao);
    assert.notEqual(atMinh[0], atThao[0]);
    assert.equal(await thao.unread(), 1);
    await noProblems();
  });

  test('a person of both merchants sees both, in each of their windows', async () => {
    const [first, second] = [await openAs(LAN), await openAs(LAN)];
    for (const merchant of [MINH.merchant, THAO.merchant]) {
      const before = (await second.notifications()).length;
      await first.get('pay-merchant').selectOption(merchant);
      await first.get('pay-submit').click();
      await second.get('notification').nth(before).waitFor();
      await first.get('notification').nth(before).waitFor();
    }
    assert.deepEqual(await first.notifications(), await second.notifications());
    await noProblems();
  });

  test('a reload keeps the list, what is read of it, and the count', async () => {
    const window = await openAs(LAN);
    for (const merchant of [MINH.merchant, THAO.merchant, MINH.merchant]) await pay(window, merchant);
    const before = await window.unread();
    await window.get('notification').first().getByTestId('mark-read').click();
    await window.unreadIs(before - 1);
    const [listed, read] = [await window.notifications(), await window.read()];
    assert.ok(listed.length >= 3 && read.includes(listed[0]) && !read.includes(listed[1]));

    await window.page.reload();
    await Promise.all([window.connected(), window.loaded()]);
    await window.unreadIs(before - 1);
    assert.deepEqual([await window.notifications(), await window.read()], [listed, read]);
    await noProblems();
  });

  test('what is read in one window is read in the others of that person, and in nobody else\'s', async () => {
    const [first, second, minh] = [await openAs(LAN), await openAs(LAN), await openAs(MINH)];
    const known = { second: await second.notifications(), minh: await minh.notifications() };
    await pay(first, MINH.merchant);
    await Promise.all([second.nextAfter(known.second), minh.nextAfter(known.minh)]);
    const [unread, minhs] = [await first.unread(), await minh.unread()];
    await second.unreadIs(unread);

    await first.get('notification').first().getByTestId('mark-read').click();
    await second.unreadIs(unread - 1);
    await first.unreadIs(unread - 1);
    const [newest] = await second.notifications();
    assert.ok((await second.read()).includes(newest));

    await second.get('read-all').click();
    for (const window of [first, second]) {
      await window.unreadIs(0);
      await window.page.waitForFunction(() => document.querySelectorAll('.notification.unread').length === 0);
    }
    assert.equal(await minh.unread(), minhs);
    assert.equal(await first.page.title(), 'Lan · Signal');
    await noProblems();
  });

  test('a notification is on screen within 300 ms of the button', async (t) => {
    const window = await openAs(MINH);
    await window.get('pay-merchant').selectOption(MINH.merchant);
    const took = [];
    for (let payment = 0; payment < 5; payment += 1) {
      took.push(await window.page.evaluate(payAndTime));
    }
    t.diagnostic(`from button to screen: ${took.map((ms) => `${Math.round(ms)} ms`).join(', ')}`);
    // The quickest of five: what the software takes, whatever else the machine was doing meanwhile.
    assert.ok(Math.min(...took) <= 300, took.join(', '));
    await noProblems();
  });

  test('the form can be used with the keyboard alone', async () => {
    const window = await open();
    const { page } = window;
    await window.get(`person-${MINH.id}`).waitFor();
    await tabTo(page, `person-${MINH.id}`);
    await page.keyboard.press('Enter');
    await Promise.all([window.connected(), window.loaded()]);
    const known = await window.notifications();

    await tabTo(page, 'pay-merchant');
    await page.keyboard.type('C');
    await tabTo(page, 'pay-amount');
    await page.keyboard.press('Control+A');
    await page.keyboard.type('48500');
    await tabTo(page, 'pay-order');
    await page.keyboard.press('Control+A');
    await page.keyboard.type('K-1');
    await tabTo(page, 'pay-submit');
    await page.keyboard.press('Enter');
    const arrived = await window.nextAfter(known);
    assert.match(await arrived.innerText(), /K-1/);

    await tabTo(page, 'sign-out');
    await page.keyboard.press('Enter');
    await window.get(`person-${MINH.id}`).waitFor();
    await noProblems();
  });

  test('the inspector shows a sealed frame beside its plaintext', async () => {
    const window = await openAs(MINH);
    await pay(window, MINH.merchant);
    const { sealed, plain } = await window.inspect('notification/created');
    assertSealed(sealed, (await window.negotiated()).protocol);
    assert.match(plain, /PAYMENT_SUCCESS/);
    await noProblems();
  });

  test('what the form refuses stands at its field', async () => {
    const window = await openAs(MINH);
    const known = await window.notifications();
    await window.get('pay-amount').fill('plenty');
    await window.get('pay-submit').click();
    await window.page.locator('[data-testid="pay-amount"][aria-invalid="true"]').waitFor();
    assert.deepEqual(await window.notifications(), known);
    const problems = await window.problems();
    assert.ok(problems.every((problem) => problem.includes('422')), problems.join('\n'));
  });
});

/** Runs in the page: presses the button and waits until one more notification is there to be painted. */
async function payAndTime() {
  const deadline = performance.now() + 20_000;
  const frame = async (what) => {
    if (performance.now() > deadline) throw new Error(`not within 20 s: ${what}`);
    await new Promise((next) => requestAnimationFrame(next));
  };
  const button = document.querySelector('[data-testid="pay-submit"]');
  const count = () => document.querySelectorAll('[data-testid="notification"]').length;
  // A notification may be quicker than the answer to the request, until which the button is off.
  while (button.disabled) await frame('the button can be pressed');
  const before = count();
  const pressed = performance.now();
  button.click();
  while (count() === before) await frame('the notification arrives');
  return performance.now() - pressed;
}

/** Presses Tab until the element has the focus; a page whose order skips it fails here. */
async function tabTo(page, testid) {
  for (let presses = 0; presses < 60; presses += 1) {
    await page.keyboard.press('Tab');
    if (await page.evaluate(() => document.activeElement?.dataset.testid) === testid) return;
  }
  assert.fail(`Tab does not reach ${testid}`);
}
