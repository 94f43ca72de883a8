/** Chromium for tests of pages, with what must hold on each of them. */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';
import { serve, type WebServer } from '../../src/web/serve.js';

/** Folder for screenshots, for a look by eye; none are made without it. */
const shots = process.env['TREELINE_SCREENSHOTS'];

interface Site {
  readonly root: string;
  remove(): Promise<void>;
}

/** Around the tests of a suite: a site, its web server, a browser. A page that a test opened may have complained of nothing. */
export function inChromium(make: () => Promise<Site>) {
  let site: Site;
  let server: WebServer;
  let browser: Browser;
  let opened: Awaited<ReturnType<typeof openPage>>[] = [];
  before(async () => {
    site = await make();
    server = await serve({ root: site.root, port: 0 });
    browser = await launch();
    if (shots) await mkdir(shots, { recursive: true });
  });
  after(async () => {
    await browser.close();
    await server.close();
    await site.remove();
  });
  afterEach(async () => {
    const ended = opened;
    opened = [];
    for (const { page } of ended) await page.context().close();
    assert.deepEqual(
      ended.flatMap(({ problems }) => problems),
      [],
    );
  });
  return {
    /** A path in the site's folder. */
    file: (path: string) => join(site.root, path),
    open: async (options: BrowserContextOptions = {}): Promise<Page> => {
      const one = await openPage(browser, { baseURL: server.url, ...options });
      opened.push(one);
      return one.page;
    },
    shoot: async (page: Page, name: string): Promise<void> => {
      if (shots) await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
    },
  };
}

const launch = (): Promise<Browser> =>
  chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync',
    ], // prettier-ignore
  });

/** A page in a context of its own; what it complains of or fails to load gathers in `problems`. */
async function openPage(browser: Browser, options: BrowserContextOptions) {
  const page = await (await browser.newContext(options)).newPage();
  const problems: string[] = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) problems.push(message.text());
  });
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('requestfailed', (request) => problems.push(`failed: ${request.url()}`));
  page.on('response', (response) => {
    if (response.status() >= 400) problems.push(`${response.status()} ${response.url()}`);
  });
  return { page, problems };
}

/** The page itself may not scroll sideways; its tables may. */
export async function assertFits(page: Page, width: number, name: string): Promise<void> {
  const { scroll, client } = await page.evaluate(() => ({
    scroll: document.documentElement.scrollWidth,
    client: document.documentElement.clientWidth,
  }));
  assert.equal(client, width);
  assert.equal(scroll, client, `${name} scrolls sideways`);
}

/** Texts whose colour is below 4.5:1 on the nearest ground. */
export const lowContrast = (page: Page): Promise<string[]> =>
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
      const style = getComputedStyle(element);
      const letters = element instanceof SVGElement ? style.fill : style.color;
      const [a, b] = [luminance(letters), luminance(ground(element))];
      const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      if (ratio < 4.5) low.add(`${element.getAttribute('class') ?? element.tagName}: ${ratio.toFixed(2)}`);
    }
    return [...low];
  });
