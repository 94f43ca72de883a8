import assert from 'node:assert/strict';
import { pathToFileURL } from 'node:url';
import type { Page } from 'playwright-core';
import { assertFits, inChromium, lowContrast } from './chromium.js';
import { makeSite, newer, newest, older, stream } from './site.js';

describe('build pages in Chromium', function () {
  const { file, open, shoot } = inChromium(makeSite);
  const streamUrl = '/buildlogs/sample/index.html';
  const buildUrl = `/buildlogs/sample/builds/${newer}/x86_64/`;
  const shownRows = (page: Page) => page.locator('#packages tbody tr:visible').count();

  it('lead from the instance to a log', async () => {
    const page = await open();
    await page.goto('/');
    await page.getByRole('link', { name: stream.title }).click();
    await page.getByRole('heading', { level: 1, name: stream.title }).waitFor();
    await page.getByRole('link', { name: newer }).click();
    await page.getByRole('heading', { level: 1, name: newer }).waitFor();

    const all = Object.keys(newest.lockfile.packages).length;
    assert.equal(await shownRows(page), all);
    await page.getByLabel('Filter').fill('STDC src.rpm');
    assert.equal(await shownRows(page), 1);
    assert.equal(await page.getByRole('status').textContent(), `1 of ${all} packages`);
    await page.getByLabel('Filter').fill('');
    assert.equal(await shownRows(page), all);

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
    const page = await open();
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
    const page = await open();
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
      const page = await open({ colorScheme });
      for (const [name, url] of Object.entries({ instance: '/', stream: streamUrl, build: buildUrl })) {
        await page.goto(url);
        assert.deepEqual(await lowContrast(page), [], name);
        await shoot(page, `${name}-${colorScheme}`);
      }
    });

  it('fit a phone: tables scroll, the page does not', async () => {
    const page = await open({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
    for (const [name, url] of Object.entries({ instance: '/', stream: streamUrl, build: buildUrl })) {
      await page.goto(url);
      await assertFits(page, 390, name);
      await shoot(page, `${name}-phone`);
    }
  });

  it('show everything without scripts', async () => {
    const page = await open({ javaScriptEnabled: false });
    await page.goto(buildUrl);
    assert.equal(await shownRows(page), Object.keys(newest.lockfile.packages).length);
    assert.ok(await page.locator('#filter').isHidden());
  });

  it('work from a plain folder, with their style', async () => {
    const page = await open();
    await page.goto(pathToFileURL(file(streamUrl)).href);
    await page.getByRole('link', { name: newer }).click();
    await page.getByLabel('Filter').fill('linux-image');
    assert.equal(await shownRows(page), 1);
    assert.equal(
      await page
        .locator('.badge')
        .first()
        .evaluate((badge) => getComputedStyle(badge).fontWeight),
      '600',
    );
  });
});
