import assert from 'node:assert/strict';
import { splitEvra } from '../../src/domain/lockfile.js';
import { formatDate, groupChanges, outcomeOf, shellWord } from '../../src/pages/facts.js';
import { renderBuild } from '../../src/pages/build.js';
import { renderInstance } from '../../src/pages/instance.js';
import { renderStream } from '../../src/pages/stream.js';
import { hostile } from './packages.js';
import { builds, first, newer, newest, older, stream } from './site.js';

const generated = '2026-11-23T02:50:00Z';
const streamPage = renderStream({ stream, generated, builds: builds.map(({ meta }) => [meta]) });
const buildPage = renderBuild({ stream, ...newest, previous: older });

describe('build pages', () => {
  it('show that a build lost a fix that readers have', () => {
    const packages = [{ name: 'bash', is: '2-1<b>', fixed: '3-1' }];
    const html = renderBuild({
      stream,
      ...newest,
      lacks: [{ case: '20261101-1', advisories: ['T-1'], packages }],
    });
    assert.match(html, /Lacks fixes<\/b>.*T-1.*bash 2-1&lt;b>, fixed in 3-1/s);
    assert.doesNotMatch(renderBuild({ stream, ...newest, lacks: [] }), /Lacks fixes/);
  });

  it('say what the commit leaves out of its packages, and what was changed', () => {
    const meta = structuredClone(newest.meta);
    const counts = { leftOut: { 'at-boot': 2, var: 1 }, changed: { postprocess: 1 } };
    meta.treeline.content = { entries: 9, ...counts, list: 'content.json' };
    const entry = { package: 'odd', path: '/var/lib/odd/<b>' };
    const content = {
      ...{ packages: 1, entries: 9 },
      leftOut: [
        { ...entry, reason: 'var' },
        { ...entry, path: '/var/lib/odd', reason: 'at-boot' },
      ],
      changed: [{ ...entry, path: '/usr/lib/odd', reason: 'postprocess', what: 'content' }],
    };
    const html = renderBuild({ stream, ...newest, meta, content });
    assert.match(html, /3 are left out, 1 were changed.*href="content\.json"/s);
    assert.match(
      html,
      /Left out: 1<.*<code>\/var\/lib\/odd\/&lt;b><\/code> of odd: of the machine: \/var starts empty/s,
    );
    assert.match(html, /<code>\/usr\/lib\/odd<\/code> of odd: content, by postprocess/);
    assert.doesNotMatch(buildPage, /id="content"/);
  });

  it('escape names from packages and stream files', () => {
    const instance = renderInstance({
      generated,
      streams: [{ name: hostile, title: hostile, description: hostile, url: 'x/index.html' }],
    });
    for (const html of [instance, streamPage, buildPage]) {
      assert.doesNotMatch(html, /<script>alert|<img|<b>friends/);
      assert.match(html, /^<!doctype html>\n<html lang="en">/);
    }
    assert.match(buildPage, /&lt;script>alert/);
    assert.equal(buildPage.match(/<script/g)?.length, 1);
  });

  it('link to a log whatever characters its name has', () => {
    assert.match(buildPage, /href="logs\/a%20b%2Bc%252b~%3A%23%3F\.log"/);
  });

  it('list builds newest first, by links that need no web server', () => {
    assert.ok(streamPage.indexOf(newer) < streamPage.indexOf(older));
    assert.match(streamPage, new RegExp(`href="builds/${newer}/x86_64/index.html"`));
    assert.doesNotMatch(streamPage + buildPage, /(href|src)="\//);
  });

  it('say how to add the remote with both signatures verified', () => {
    assert.match(
      streamPage,
      /ostree remote add --if-not-exists \\\n {2}--set=gpg-verify=true --set=gpg-verify-summary=true \\\n {2}--gpg-import=/,
    );
    assert.match(streamPage, /http:\/\/127\.0\.0\.1:8470\/buildlogs\/sample\/signing-key\.asc/);
    assert.match(streamPage, /rpm-ostree rebase sample:sample\/\$\(uname -m\)\/standard/);
    assert.match(
      buildPage,
      new RegExp(
        `curl .* http://127\\.0\\.0\\.1:8470/buildlogs/sample/builds/${newer}/x86_64/sha256sum\\.txt\\.asc\n`,
      ),
    );
    const sly = renderStream({ stream: { ...stream, url: 'http://host/$(reboot)' }, generated, builds: [] });
    assert.match(sly, /'http:\/\/host\/\$\(reboot\)\/repo'/);
    assert.match(sly, /No build is published yet/);
  });

  it('show a flaky boot test as flaky, with every attempt', () => {
    assert.match(streamPage, /class="badge flaky"/);
    assert.match(buildPage, /No login prompt within 10 min 00 s/);
    assert.match(buildPage, /TCG \(emulated\)<div class="quiet">KVM stopped the guest: KVM internal error/);
    assert.equal(outcomeOf(newest.meta), 'flaky');
    assert.equal(outcomeOf(first.meta), 'passed');
    assert.equal(outcomeOf(first.meta, newest.meta), 'flaky');
    assert.equal(outcomeOf(), 'untested');
  });

  it('say that a first build has nothing to compare with', () => {
    assert.match(renderBuild({ stream, ...first }), /there is no parent to compare with/);
    const same = { ...newest, meta: { ...newest.meta, pkgdiff: [] } };
    assert.match(renderBuild({ stream, ...same }), /No package changed since the parent/);
  });

  it('leave out what a build does not have', () => {
    const { checksums: _, ...treeline } = newest.meta.treeline;
    const bare = renderBuild({
      stream: { ...stream, home: undefined },
      lockfile: newest.lockfile,
      meta: {
        ...newest.meta,
        images: {},
        treeline: { ...treeline, tests: { boot: {} }, steps: [], logs: [] },
      },
    });
    assert.match(bare, /This build has no images/);
    assert.match(bare, /No image of this build was booted/);
    assert.doesNotMatch(bare, /sha256sum|id="logs"|id="steps"|>Treeline</);
  });

  it('group package changes, with old and new versions', () => {
    const groups = groupChanges(newest.meta.pkgdiff ?? []);
    assert.deepEqual(
      Object.entries(groups).map(([kind, changes]) => [kind, changes.length]),
      [
        ['upgraded', 2],
        ['downgraded', 1],
        ['added', 1],
        ['removed', 1],
      ],
    );
    assert.deepEqual(groups.downgraded[0], { name: 'jq', arch: 'x86_64', from: '1.7-1', to: '1.6-2.1' });
  });

  it('read versions, dates and words as they are', () => {
    assert.deepEqual(splitEvra('1:2.38.1-5+deb12u3.x86_64'), { evr: '1:2.38.1-5+deb12u3', arch: 'x86_64' });
    assert.equal(formatDate('2026-11-23T02:34:56Z'), '2026-11-23 02:34 UTC');
    assert.equal(formatDate('soon'), 'soon');
    assert.equal(shellWord("it's"), `'it'\\''s'`);
  });
});
