import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { findBrowser, launch, openWindow } from './browser.mjs';
import { startSignal } from './signal.mjs';

const { path, missing } = findBrowser();
const BASE = '/v1/api/signal';

// What the page may not do and, being refused, does without: a library of the viewer's asks whether it may use eval.
const PROBE = 'policy: script-src: eval';
const problems = async (window) => (await window.problems()).filter((problem) => problem !== PROBE);

describe('the page of the API document', { skip: missing ?? false }, () => {
  let signal, browser;
  before(async () => { [signal, browser] = await Promise.all([startSignal(), launch(path)]); });
  after(async () => { await browser?.close(); await signal?.stop(); });

  test('shows every operation and asks nobody else for anything', async () => {
    const document = await (await fetch(`${signal.url}${BASE}/doc/openapi.json`)).json();
    const window = await openWindow(browser);
    const { page } = window;
    const requested = [];
    window.context.on('request', (request) => requested.push(request.url()));
    await page.goto(`${signal.url}${BASE}/doc`);

    const operations = Object.values(document.paths).flatMap((item) => Object.values(item));
    assert.ok(operations.length > 0);
    for (const { summary } of operations) await page.getByText(summary).first().waitFor();
    // An operation's own section, too, is drawn from what is here.
    await page.getByRole('link', { name: operations[0].summary }).first().click();
    await page.getByRole('heading', { name: operations[0].summary }).first().waitFor();
    if (process.env.SCREENSHOT) await page.screenshot({ path: process.env.SCREENSHOT });

    const elsewhere = requested.filter((url) => !url.startsWith(`${signal.url}/`) && !/^(data|blob):/.test(url));
    assert.deepEqual(elsewhere, []);
    assert.ok(requested.includes(`${signal.url}${BASE}/doc/openapi.json`));
    assert.deepEqual(await problems(window), []);
    await window.context.close();
  });

  test('an operation can be tried with what the page sends', async () => {
    const window = await openWindow(browser, `${signal.url}${BASE}/doc`);
    const { page } = window;
    await page.getByRole('button', { name: /Test Request.*openapi\.json/ }).first().click();
    const answered = page.waitForResponse((response) => response.url().startsWith(`${signal.url}${BASE}/`));
    await page.getByRole('button', { name: /^Send/ }).first().click();
    assert.equal((await answered).status(), 200);
    assert.deepEqual(await problems(window), []);
    await window.context.close();
  });
});
