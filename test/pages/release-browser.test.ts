import assert from 'node:assert/strict';
import { pathToFileURL } from 'node:url';
import { assertFits, inChromium, lowContrast } from './chromium.js';
import { backed, candidate, current, former, makeReleaseSite } from './release-site.js';

const urls = {
  releases: '/releases/sample/index.html',
  release: `/releases/sample/releases/${current}/`,
  'rolled-back': `/releases/sample/releases/${backed}/`,
  security: '/releases/sample/security/index.html',
};

describe('release pages in Chromium', function () {
  const { file, open, shoot } = inChromium(makeReleaseSite);

  it('lead from the releases to a release, its changelog and the one before', async () => {
    const page = await open();
    await page.goto(urls.releases);
    const list = page.getByRole('region', { name: 'Releases, newest first' });
    assert.equal(await list.getByRole('row').count(), 5);
    await list.getByRole('link', { name: current }).click();
    await page.getByRole('heading', { level: 1, name: `release ${current}` }).waitFor();

    const entry = page.getByText('Fix CVE-2026-1001').first();
    assert.ok(await entry.isHidden());
    await page.locator('summary').first().focus();
    await page.keyboard.press('Enter');
    assert.ok(await entry.isVisible());

    await page.goto(urls['rolled-back']);
    await page
      .getByRole('complementary', { name: 'Rolled back' })
      .getByRole('link', { name: former })
      .click();
    await page.waitForURL(`**/releases/${former}/index.html`);
  });

  it('have no broken link but those to other sites, and none that runs a script', async () => {
    const page = await open();
    const checked = new Set<string>();
    for (const url of Object.values(urls)) {
      await page.goto(url);
      const links = await page
        .locator('a, link')
        .evaluateAll((all) => all.map((link) => (link as HTMLAnchorElement).href));
      for (const link of links.filter((href) => !href.startsWith('data:'))) {
        assert.match(link, /^https?:/);
        if (link.startsWith('https://cve.example.org/') || checked.has(link)) continue;
        assert.equal((await page.request.get(link)).status(), 200, link);
        checked.add(link);
      }
    }
    assert.ok(checked.size > 35, String(checked.size));
  });

  it('lead to the security of the stream, and tell by role how long a fix took', async () => {
    const page = await open();
    await page.goto(urls.releases);
    await page.getByRole('link', { name: 'Security' }).click();
    await page.getByRole('heading', { level: 1, name: 'security' }).waitFor();
    await page
      .getByRole('article', { name: 'Case 20261028-3' })
      .getByRole('img', { name: '1 of 2 approvals' })
      .waitFor();
    await page
      .getByRole('img', {
        name: 'published after 0 s, detected after 40 min 00 s, built after 1 h 40 min, approved after 2 h 10 min, released after 2 h 25 min',
      })
      .waitFor();
    const lacks = page.getByRole('region', { name: /^Fixes of security releases/ });
    assert.equal(await lacks.getByRole('row').count(), 4);
  });

  it('tell by role what the pictures show', async () => {
    const page = await open();
    await page.goto(urls.releases);
    const card = page.getByRole('article', { name: `Candidate ${candidate}` });
    await card.getByRole('img', { name: '1 of 2 approvals' }).waitFor();
    await page.getByRole('img', { name: /^Timeline of the releases/ }).waitFor();
    const weeks = page.getByRole('table', { name: /^The weeks before 2026-11-24/ });
    await weeks.getByRole('cell', { name: '24 candidate window due' }).waitFor();
    // Every box that scrolls can be reached by keyboard.
    for (const box of await page.locator('.scroll, pre').all())
      assert.equal(await box.getAttribute('tabindex'), '0');
  });

  for (const colorScheme of ['light', 'dark'] as const)
    it(`keep AA contrast, ${colorScheme}`, async () => {
      const page = await open({ colorScheme });
      for (const [name, url] of Object.entries(urls)) {
        await page.goto(url);
        await page
          .locator('details')
          .evaluateAll((all) => all.forEach((one) => one.setAttribute('open', '')));
        assert.deepEqual(await lowContrast(page), [], name);
        await shoot(page, `${name}-${colorScheme}`);
      }
    });

  it('fit a small phone: tables and the timeline scroll, the page does not', async () => {
    const page = await open({ viewport: { width: 320, height: 640 }, hasTouch: true, isMobile: true });
    for (const [name, url] of Object.entries(urls)) {
      await page.goto(url);
      await assertFits(page, 320, name);
      await shoot(page, `${name}-phone`);
    }
    await page.goto(urls.releases);
    const { left, right } = await page.locator('.timeline').evaluate((box) => {
      const mark = box.querySelector('g.due text')?.getBoundingClientRect();
      return { left: mark?.left ?? -1, right: mark?.right ?? Infinity };
    });
    assert.ok(left > 0 && right < 320, `the next due date is out of sight: ${left} to ${right}`);
  });

  it('need no script, and work from a plain folder', async () => {
    const page = await open({ javaScriptEnabled: false });
    await page.goto(pathToFileURL(file(urls.releases)).href);
    await page.getByRole('link', { name: current }).first().click();
    await page.getByRole('heading', { level: 1, name: `release ${current}` }).waitFor();
    assert.equal(await page.locator('script').count(), 0);
    const policy = await page.locator('meta[http-equiv]').getAttribute('content');
    assert.match(policy ?? '', /^default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'/);
  });
});
