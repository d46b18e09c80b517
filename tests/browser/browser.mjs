// Debian's Chromium, headless, and windows that remember what went wrong in them.

import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

const candidates = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** Where the browser is, or why the tests cannot run. */
export function findBrowser() {
  const path = process.env.CHROMIUM ?? candidates.find(existsSync);
  if (path !== undefined) return { path };
  const missing = 'no Chromium (Debian: apt-get install chromium)';
  if (process.env.CI === 'true') throw new Error(missing);
  console.log(`skipped: browser tests need Chromium: ${missing}`);
  return { missing };
}

export const launch = (executablePath) =>
  // Root has no sandbox to put Chromium in; on CI everything runs as root.
  chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] });

/**
 * A window of its own, with cookies and storage of its own, in which `problems` gathers what nobody should see.
 * `prepare` gets the page before it loads.
 */
export async function openWindow(browser, url, prepare = async () => {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const problems = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) problems.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => problems.push(`uncaught: ${error.message}`));
  page.on('requestfailed', (request) => problems.push(`failed: ${request.url()} ${request.failure()?.errorText}`));
  page.on('response', (answer) => {
    if (answer.status() >= 400) problems.push(`${answer.status()}: ${answer.url()}`);
  });
  await page.addInitScript(() => {
    window.policyViolations = [];
    document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) =>
      window.policyViolations.push(`${violatedDirective}: ${blockedURI}`));
  });
  await prepare(page);
  if (url !== undefined) await page.goto(url);
  const get = (id) => page.getByTestId(id);
  const connected = () => page.locator('[data-testid="connection-state"][data-state="connected"]').waitFor();
  const loaded = () => page.locator('[data-testid="bell"][data-loaded]').waitFor();
  return {
    page, context, get,
    connected,
    /** List and count have been read. */
    loaded,
    /** Waits until the bell says so many. */
    unreadIs: (count) => page.locator(`[data-testid="bell"][data-unread="${count}"]`).waitFor(),
    /** Waits until there is one more than those that were known, and returns the newest. */
    nextAfter: async (known) => {
      await get('notification').nth(known.length).waitFor();
      return get('notification').first();
    },
    /** What the connection negotiated: protocol and whether the edge's identity was proven. */
    negotiated: async () => {
      await connected();
      const { protocol, identity } = await get('connection').evaluate((card) => ({ ...card.dataset }));
      return { protocol: Number(protocol), proven: identity === 'proven' };
    },
    /** Chooses the newest sealed frame of the event in the inspector. */
    inspect: async (event) => {
      await page.locator(`[data-testid="inspector-row"][data-sealed="true"][data-event$="${event}"]`).first().click();
      return { sealed: await get('inspector-sealed').innerText(), plain: await get('inspector-plain').innerText() };
    },
    unread: async () => Number(await get('bell').getAttribute('data-unread')),
    /** Event ids of what is shown as read. */
    read: () => page.locator('[data-testid="notification"]:not(.unread)').evaluateAll((items) => items.map((item) => item.dataset.eventId)),
    notifications: () => get('notification').evaluateAll((items) => items.map((item) => item.dataset.eventId)),
    problems: async () => [...problems, ...(await page.evaluate(() => window.policyViolations)).map((one) => `policy: ${one}`)],
  };
}
