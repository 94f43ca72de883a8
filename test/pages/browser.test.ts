import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';
import { serve, type WebServer } from '../../src/web/serve.js';
import { makeSite, newer, newest, older, stream } from './site.js';

/** Folder for screenshots, for a look by eye; none are made without it. */
const shots = process.env['TREELINE_SCREENSHOTS'];

describe('build pages in Chromium', function () {
  this.timeout(60_000);
  let site: Awaited<ReturnType<typeof makeSite>>;
  let server: WebServer;
  let browser: Browser;
  let page: Page;
  let problems: string[];

  before(async () => {
    site = await makeSite();
    server = await serve({ root: site.root, port: 0 });
    browser = await chromium.launch({
      executablePath: '/usr/bin/chromium',
      args: [
        '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
        '--disable-component-update', '--disable-sync',
      ], // prettier-ignore
    });
    if (shots) await mkdir(shots, { recursive: true });
  });
  after(async () => {
    await browser.close();
    await server.close();
    await site.remove();
  });

  const open = async (options: BrowserContextOptions = {}) => {
    page = await (await browser.newContext({ baseURL: server.url, ...options })).newPage();
    problems = [];
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) problems.push(message.text());
    });
    page.on('pageerror', (error) => problems.push(error.message));
    page.on('requestfailed', (request) => problems.push(`failed: ${request.url()}`));
    page.on('response', (response) => {
      if (response.status() >= 400) problems.push(`${response.status()} ${response.url()}`);
    });
  };
  afterEach(async () => {
    await page.context().close();
    assert.deepEqual(problems, []);
  });
  const shoot = async (name: string) => {
    if (shots) await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
  };
  const streamUrl = '/buildlogs/sample/index.html';
  const buildUrl = `/buildlogs/sample/builds/${newer}/x86_64/`;
  const shownRows = () => page.locator('#packages tbody tr:visible').count();

  it('lead from the instance to a log', async () => {
    await open();
    await page.goto('/');
    await page.getByRole('link', { name: stream.title }).click();
    await page.getByRole('heading', { level: 1, name: stream.title }).waitFor();
    await page.getByRole('link', { name: newer }).click();
    await page.getByRole('heading', { level: 1, name: newer }).waitFor();

    const all = Object.keys(newest.lockfile.packages).length;
    assert.equal(await shownRows(), all);
    await page.getByLabel('Filter').fill('STDC src.rpm');
    assert.equal(await shownRows(), 1);
    assert.equal(await page.getByRole('status').textContent(), `1 of ${all} packages`);
    await page.getByLabel('Filter').fill('');
    assert.equal(await shownRows(), all);

    await page.locator('#boot + .scroll').getByRole('link', { name: 'boot-qcow2-2.log' }).click();
    await page.waitForURL('**/logs/boot-qcow2-2.log');
    assert.match(await page.locator('body').innerText(), /log of boot-qcow2-2\.log\nünïcode <b>/);
    await page.goBack();
    await page.getByRole('link', { name: `← ${older}` }).click();
    await page.getByRole('link', { name: `${newer} →` }).click();
    await page
      .getByRole('navigation', { name: 'Breadcrumb' })
      .getByRole('link', { name: 'Treeline' })
      .click();
    await page.getByRole('heading', { level: 1, name: 'Streams' }).waitFor();
  });

  it('have no broken link', async () => {
    await open();
    for (const url of [streamUrl, buildUrl]) {
      await page.goto(url);
      const links = await page
        .locator('a, link')
        .evaluateAll((all) => all.map((link) => (link as HTMLAnchorElement).href));
      assert.ok(links.length > 5);
      for (const link of links.filter((href) => href.startsWith('http')))
        assert.equal((await page.request.get(link)).status(), 200, link);
    }
  });

  it('work by keyboard: skip link first, then every scrolling table', async () => {
    await open();
    await page.goto(buildUrl);
    await page.keyboard.press('Tab');
    const skip = page.getByRole('link', { name: 'Skip to content' });
    assert.ok(
      await skip.evaluate((link) => link === document.activeElement && link.matches(':focus-visible')),
    );
    assert.ok(((await skip.boundingBox())?.width ?? 0) > 50);
    await page.keyboard.press('Enter');
    assert.equal(await page.evaluate(() => document.activeElement?.id), 'main');
    await page.keyboard.press('Tab');
    const focused = await page.evaluate(() => {
      const at = document.activeElement as HTMLElement;
      return {
        text: at.textContent,
        inMain: at.closest('main') !== null,
        outline: getComputedStyle(at).outlineWidth,
      };
    });
    assert.deepEqual(focused, { text: `← ${older}`, inMain: true, outline: '3px' });
    assert.ok((await page.getByRole('region').count()) > 3);
  });

  for (const colorScheme of ['light', 'dark'] as const)
    it(`keep AA contrast, ${colorScheme}`, async () => {
      await open({ colorScheme });
      for (const [name, url] of Object.entries({ instance: '/', stream: streamUrl, build: buildUrl })) {
        await page.goto(url);
        assert.deepEqual(await lowContrast(page), [], name);
        await shoot(`${name}-${colorScheme}`);
      }
    });

  it('fit a phone: tables scroll, the page does not', async () => {
    await open({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
    for (const [name, url] of Object.entries({ instance: '/', stream: streamUrl, build: buildUrl })) {
      await page.goto(url);
      const { scroll, client } = await page.evaluate(() => ({
        scroll: document.documentElement.scrollWidth,
        client: document.documentElement.clientWidth,
      }));
      assert.equal(client, 390);
      assert.equal(scroll, client, `${name} scrolls sideways`);
      await shoot(`${name}-phone`);
    }
  });

  it('show everything without scripts', async () => {
    await open({ javaScriptEnabled: false });
    await page.goto(buildUrl);
    assert.equal(await shownRows(), Object.keys(newest.lockfile.packages).length);
    assert.ok(await page.locator('#filter').isHidden());
  });

  it('work from a plain folder, with their style', async () => {
    await open();
    await page.goto(pathToFileURL(join(site.root, streamUrl)).href);
    await page.getByRole('link', { name: newer }).click();
    await page.getByLabel('Filter').fill('linux-image');
    assert.equal(await shownRows(), 1);
    assert.equal(
      await page
        .locator('.badge')
        .first()
        .evaluate((badge) => getComputedStyle(badge).fontWeight),
      '600',
    );
  });
});

/** Texts whose colour is below 4.5:1 on the nearest ground. */
const lowContrast = (page: Page): Promise<string[]> =>
  page.evaluate(() => {
    const rgb = (text: string) => (text.match(/[\d.]+/g) ?? []).map(Number);
    const luminance = (text: string) => {
      const [r = 0, g = 0, b = 0] = rgb(text).map((v) =>
        v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4,
      );
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = (element: Element | null): string => {
      if (!element) return 'rgb(255, 255, 255)';
      const color = getComputedStyle(element).backgroundColor;
      return rgb(color)[3] === 0 ? ground(element.parentElement) : color;
    };
    const low = new Set<string>();
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const element = walker.currentNode.parentElement;
      if (!element || element.tagName === 'SCRIPT' || !walker.currentNode.textContent?.trim()) continue;
      const [a, b] = [luminance(getComputedStyle(element).color), luminance(ground(element))];
      const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      if (ratio < 4.5) low.add(`${element.className || element.tagName}: ${ratio.toFixed(2)}`);
    }
    return [...low];
  });
