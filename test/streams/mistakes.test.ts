/** Every mistake in a stream file is named with line, field and its mend. */
import assert from 'node:assert/strict';
import { makeScratch, type Scratch } from '../steps/scratch.js';
import { good, problems } from './tiny-stream.js';

describe('a stream file with', () => {
  let s: Scratch;
  before(async () => void (s = await makeScratch('mistakes')));
  after(() => s.remove());

  /** One mistake: its line, field and what the message must say. */
  const mistake = (title: string, from: string, to: string, expected: RegExp) =>
    it(title, async () => {
      assert.ok(good.includes(from));
      const found = await problems(s, good.replace(from, to));
      assert.equal(found.length, 1, found.join('\n'));
      assert.match(found[0]!, expected);
    });

  mistake('YAML syntax', 'osname: tiny', 'osname: "tiny', /^\d+: .*quote/i);
  mistake('a tab as indentation', '  cron', '\tcron', /^\d+: /);
  mistake('a field given twice', 'composer: dnf', 'composer: dnf\ncomposer: dnf', /^8: .*unique/);
  mistake(
    'a value that YAML takes for an alias',
    'title: Tiny',
    'title: *tiny',
    /^\d+: .*(alias|anchor).*quotes/i,
  );
  mistake(
    'an unknown field, with the one that was meant',
    'osname: tiny',
    'osname: tiny\nreleaseVer: "2"',
    /^6: releaseVer: unknown field\. Did you mean `releasever`\? Known here: name, title/,
  );
  mistake(
    'an unknown field deep down',
    '    size: 2GiB',
    '    sise: 2GiB',
    /^14: images\.0\.sise: unknown field\. Did you mean `size`\? Known here: kind, size/,
  );
  mistake(
    'an unknown field in a target',
    '    url: ${web}/tiny',
    '    url: ${web}/tiny\n    username: x',
    /^22: publish\.buildlogs\.username: unknown field\. Known here: location, url/,
  );
  mistake('a missing field', 'osname: tiny\n', '', /^1: osname: missing: add this field/);
  mistake(
    'a missing field deep down, at what lacks it',
    '  - id: base\n    baseurl',
    '  - baseurl',
    /^9: repos\.0\.id: missing/,
  );
  mistake('an empty field', 'title: Tiny', 'title:', /^2: title: .*expected string, received null/);
  mistake(
    'a wrong type',
    "releasever: '1'",
    'releasever: 1',
    /^6: releasever: must be text: put it in quotes, `'1'`$/,
  );
  mistake(
    'a value that is none of the possible',
    'composer: dnf',
    'composer: yum',
    /^7: composer: write one of: dnf, rpm-ostree/,
  );
  mistake('a bad size', '2GiB', '2GB', /^14: images\.0\.size: write a size such as `4GiB`/);
  mistake(
    'a bad duration',
    '  cron',
    '  catchUp: 6\n  cron',
    /^17: schedule\.catchUp: must be text: put it in quotes, `'6'`$/,
  );
  mistake(
    'a bad duration, as text',
    '  cron',
    '  catchUp: 6 hours\n  cron',
    /^17: schedule\.catchUp: write a duration such as/,
  );
  mistake(
    'a bad cron',
    '30 2 * * *',
    '30 2 * *',
    /^17: schedule\.cron: write five fields, such as `30 2 \* \* \*`/,
  );
  mistake(
    'a cron out of range',
    '30 2 * * *',
    '61 2 * * *',
    /^17: schedule\.cron: write numbers in their range: minute 0-59/,
  );
  mistake(
    'a bad time zone',
    '30 2 * * *',
    '30 2 * * *\n  timezone: Mars/Olympus',
    /^18: schedule\.timezone: write a time zone .*`Europe\/Berlin`/,
  );
  mistake(
    'a bad URL',
    'url: ${web}/tiny',
    'url: example.org/tiny',
    /^21: publish\.buildlogs\.url: write an `http:\/\/` or `https:\/\/` URL/,
  );
  mistake(
    'a bad location',
    '${state}/www/tiny',
    'srv/tiny',
    /^20: publish\.buildlogs\.location: write an absolute folder, `rsync:/,
  );
  mistake(
    'a location with an option behind a space',
    '${state}/www/tiny',
    '/-x -e',
    /^20: publish\.buildlogs\.location: no spaces/,
  );
  mistake(
    'an unknown variable',
    '${web}/rpms',
    'http://${host}/rpms',
    /^10: repos\.0\.baseurl: unknown variable `\$\{host\}`: there are/,
  );
  mistake(
    'a variable of JavaScript',
    '${web}/rpms',
    'http://${constructor}/rpms',
    /^10: repos\.0\.baseurl: unknown variable `\$\{constructor\}`/,
  );
  mistake(
    'an unknown image kind',
    'kind: qcow2',
    'kind: qcow',
    /^13: images\.0\.kind: no such image kind\. Did you mean `qcow2`\? There are: qcow2, vagrant-libvirt/,
  );
  mistake(
    'an image kind of JavaScript',
    'kind: qcow2',
    'kind: constructor',
    /^13: images\.0\.kind: no such image kind\. There are/,
  );
  mistake(
    'a bad option of an image',
    '    size: 2GiB',
    '    options:\n      colour: red',
    /^14: images\.0\.options: .*colour.*\(option of qcow2\)/,
  );
  mistake(
    'an image that is listed twice',
    '    size: 2GiB',
    '  - kind: qcow2',
    /^14: images\.1\.kind: listed twice: keep one/,
  );
  mistake(
    'a repo id that is used twice',
    'images:',
    '  - {id: base, baseurl: "http://x/", gpgKeys: [k]}\nimages:',
    /^12: repos\.1\.id: used twice/,
  );
  mistake(
    'another name than the folder',
    'name: tiny',
    'name: huge',
    /^1: name: is `huge`, but the folder is `tiny`/,
  );
  it('architectures that share a ref', async () => {
    const noImages = good.replace('images:\n  - kind: qcow2\n    size: 2GiB\n', '');
    const shared = 'architectures: [x86_64, aarch64]\nref: tiny/standard';
    assert.match(
      (await problems(s, noImages.replace('ref: tiny/${arch}/standard', shared))).join('\n'),
      /^5: ref: several architectures .*`\$\{arch\}` into it$/,
    );
  });
  mistake(
    'an image that its architecture cannot have',
    'osname: tiny',
    'osname: tiny\narchitectures: [x86_64, aarch64]',
    /^14: images\.0\.kind: is made for x86_64 only: leave it out, or aarch64 out of `architectures`$/,
  );
  mistake(
    'a file outside of its folder',
    'keys/base.asc',
    '../shared/base.asc',
    /^11: repos\.0\.gpgKeys\.0: `\.\.\/shared\/base\.asc` is outside of the stream's folder/,
  );
  mistake(
    'a newline in a path',
    'treefile: treefile.yaml',
    'treefile: "tree\\nfile"',
    /^3: treefile: no spaces, and not starting with `-`/,
  );
  mistake(
    'a space in a location',
    '${state}/www/tiny',
    '/srv/a b',
    /^20: publish\.buildlogs\.location: no spaces/,
  );
});
