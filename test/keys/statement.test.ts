/** Statements signed by real keys: which are believed, and why the others are not. */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { Failure } from '../../src/domain/failures.js';
import { approverKeys, openKeyring, verifyStatement, type StatementRules } from '../../src/keys/statement.js';
import { makeScratch, type Scratch } from '../steps/scratch.js';
import { at, People, statementOf, type Person } from './people.js';

describe('statements', function () {
  let s: Scratch;
  let people: People;
  let ann: Person;
  let bob: Person;
  before(async () => {
    s = await makeScratch('statements');
    people = await People.make(s);
    ann = await people.join('ann');
    bob = await people.join('bob');
  });
  after(() => s.remove());

  const verify = (text: string, change: Partial<StatementRules> = {}) =>
    verifyStatement(s.step, text, {
      stream: 'tiny',
      approvers: [ann, bob],
      maxAge: 7 * 86_400,
      now: new Date(),
      work: s.at('work'),
      ...change,
    });
  const refuses = (text: string, why: RegExp, change: Partial<StatementRules> = {}) =>
    assert.rejects(verify(text, change), (error: unknown) => {
      assert.ok(error instanceof Failure, String(error));
      assert.equal(error.code, 'StatementRefused');
      assert.match(error.message, why);
      return true;
    });
  const stands = async (text: string, approvers = [ann, bob]) => {
    const keyring = await openKeyring(s.step, approvers, s.at('work'));
    const verified = keyring.verify(text).finally(() => keyring.close());
    return verified.then(
      () => true,
      (error: unknown) => {
        assert.ok(error instanceof Failure && error.code === 'StatementRefused', String(error));
        return false;
      },
    );
  };

  it('of an approver are believed, and nothing is left behind', async () => {
    const said = statementOf({ reason: 'it is – truly – good\n-----BEGIN PGP SIGNATURE-----' });
    const text = await people.sign('bob', said);
    assert.deepEqual(await verify(text), { statement: said, approver: 'bob', fingerprint: bob.fingerprint });
    assert.deepEqual(await verify(text.replaceAll('\n', '\r\n')), await verify(text));
    assert.deepEqual(await readdir(s.at('work')), []);
  });

  it('that were altered are refused', async () => {
    const text = await people.sign('ann', statementOf());
    await refuses(text.replace('20261123_01', '20261123_02'), /was altered: its signature does not fit/);
    const other = await people.sign('ann', statementOf());
    const [head] = text.split('-----BEGIN PGP SIGNATURE-----');
    const [, tail] = other.split('-----BEGIN PGP SIGNATURE-----');
    await refuses(`${head ?? ''}-----BEGIN PGP SIGNATURE-----${tail ?? ''}`, /was altered/);
  });

  it('that are no single clear-signed text are refused', async () => {
    const text = await people.sign('ann', statementOf());
    await refuses(JSON.stringify(statementOf()), /is not clear-signed: sign it with `gpg --clearsign`/);
    await refuses(
      await people.gpg(['--local-user', 'ann@example.org', '--armor', '--sign'], '{}'),
      /not clear-signed/,
    );
    await refuses(`Please release:\n${text}`, /has text around its signed part/);
    await refuses(`${text}{"decision":"promote"}\n`, /has text around its signed part/);
    await refuses(text.replace('Hash: SHA256', 'Hash: SHA256\nComment: {}'), /headers other than `Hash`/);
    await refuses(text + text, /is not one clear-signed text/);
    await refuses(text.replace('-----END PGP SIGNATURE-----', ''), /is not one clear-signed text/);
    await refuses(
      text.replace(/\n\n[A-Za-z0-9+/=\n]+-----END/, '\n\n-----END'),
      /no signature that can be read/,
    );
    await refuses(`${text}${' '.repeat(9000)}`, /is too long: \d+ characters, at most 8192/);
  });

  it('with two signatures, or a weak one, are refused', async () => {
    const both = ['--local-user', 'bob@example.org'];
    await refuses(await people.sign('ann', statementOf(), ...both), /has 2 signatures: one approver signs/);
    for (const digest of ['SHA1', 'RIPEMD160']) {
      await people.gpg([
        '--quick-generate-key',
        `${digest} <${digest}@example.org>`,
        'rsa2048',
        'sign',
        'never',
      ]);
      await people.publish(digest);
      const text = await people.sign(digest, statementOf(), '--digest-algo', digest);
      const approvers = [{ name: 'cat', key: s.at(`${digest}.asc`) }];
      await refuses(text, /is signed with a weak digest: use `gpg --digest-algo SHA256/, { approvers });
    }
  });

  it('of others are refused, with the key’s id', async () => {
    const eve = await people.join('eve');
    const text = await people.sign('eve', statementOf());
    await refuses(text, new RegExp(`is signed with the key ${eve.fingerprint}, which is no approver's`));
  });

  it('may be signed with a subkey: the person counts', async () => {
    const dan = await people.join('dan');
    await people.gpg(['--quick-add-key', dan.fingerprint, 'ed25519', 'sign', 'never']);
    await people.publish('dan');
    const subkey = (await people.fingerprints('dan'))[1] ?? assert.fail();
    const text = await people.sign('dan', statementOf(), '--local-user', `${subkey}!`);
    const approvers = [ann, dan];
    assert.equal((await verify(text, { approvers })).fingerprint, dan.fingerprint);
    await people.gpg(
      ['--command-fd', '0', '--edit-key', dan.fingerprint],
      'key 1\nrevkey\ny\n0\n\ny\nsave\n',
    );
    await people.publish('dan');
    await refuses(text, /of dan, which is revoked/, { approvers });
    const primary = await people.sign('dan', statementOf(), '--local-user', `${dan.fingerprint}!`);
    assert.equal((await verify(primary, { approvers })).approver, 'dan');
  });

  it('of a revoked key are refused and stand no longer; other approvers are not hindered', async () => {
    const fay = await people.join('fay');
    const approvers = [ann, fay];
    const [text, anns] = [await people.sign('fay', statementOf()), await people.sign('ann', statementOf())];
    await verify(text, { approvers });
    assert.equal(await stands(text, approvers), true);
    await people.revoke(fay);
    await refuses(text, new RegExp(`key ${fay.fingerprint} of fay, which is revoked`), { approvers });
    assert.equal(await stands(text, approvers), false);
    assert.equal((await verify(anns, { approvers })).approver, 'ann');
    assert.deepEqual(
      (await approverKeys(s.step, approvers)).map(({ usable }) => usable),
      [true, false],
    );
  });

  it('of an expired key, or with an expired signature, are refused', async () => {
    const gus = await people.join('gus', '2d', ...at('20200101T000000'));
    const text = await people.sign('gus', statementOf(), ...at('20200102T000000'));
    await refuses(text, /of gus, which has expired/, { approvers: [gus] });
    assert.equal(await stands(text, [gus]), false);
    assert.equal((await approverKeys(s.step, [gus]))[0]?.usable, false);
    const hal = await people.join('hal', 'never', ...at('20200101T000000'));
    const short = await people.sign(
      'hal',
      statementOf(),
      ...at('20200102T000000'),
      '--default-sig-expire',
      '1d',
    );
    await refuses(short, /has a signature of hal that has expired/, { approvers: [hal] });
  });

  it('that say something else than a statement are refused', async () => {
    const say = async (content: unknown) =>
      people.sign('ann', typeof content === 'string' ? content : JSON.stringify(content));
    await refuses(await say('release it'), /is not JSON/);
    await refuses(await say({ ...statementOf(), urgent: true }), /has a mistake: .*urgent/);
    await refuses(await say({ ...statementOf(), build: '../x' }), /has a mistake: build: write a build id/);
    await refuses(await say({ ...statementOf(), nonce: 'x' }), /has a mistake: nonce/);
    const release = { decision: 'release', attempt: 1, signed: '20261123_02' };
    for (const [change, why] of [
      [{ decision: 'relase' }, /mistake: decision: write one of promote, approve, .*report/],
      [{ decision: 'approve', attempt: 1 }, /mistake: attempt: no field of a statement `approve`/],
      [{ ...release, signed: undefined }, /mistake: signed: missing/],
      [{ ...release, attempt: '20261123-1' }, /mistake: attempt: .*expected number/],
      [{ ...release, signed: '20261123-1' }, /mistake: signed: write a build id/],
      [{ decision: 'dismiss-fix', reason: 'no', case: '20261123_01' }, /mistake: case: a case such as/],
      [{ decision: 'dismiss-fix', case: '20261123-1' }, /mistake: reason: say why/],
      [{ decision: 'rollback' }, /mistake: onto: /],
      [{ decision: 'report', result: 'good' }, /mistake: result: .*"pass"\|"fail"/],
    ] as const)
      await refuses(await say(statementOf(change)), why);
    const twice = JSON.stringify(statementOf()).replace('"decision"', '"build":"20990101_01","decision"');
    await refuses(await say(twice), /has a field twice/);
    await refuses(
      await people.sign('ann', statementOf({ stream: 'other' })),
      /is about the stream `other`, not `tiny`/,
    );
  });

  it('count for a time only, and not before they are made', async () => {
    const made = Date.parse('2026-11-23T12:00:00Z');
    const text = await people.sign('ann', statementOf({ time: new Date(made).toISOString() }));
    const when = (seconds: number) => ({ maxAge: 3600, now: new Date(made + seconds * 1000) });
    await verify(text, when(3600));
    await refuses(text, /is too old: made at 2026-11-23T12:00:00\.000Z, it counted for 3600 s/, when(3601));
    await verify(text, when(-300));
    await refuses(text, /is of the future: made at 2026-11-23T12:00:00\.000Z/, when(-301));
    assert.equal(await stands(text), true);
  });

  it('of an approver who was removed stand no longer; those of a renamed one do', async () => {
    const text: string = await people.sign('bob', statementOf());
    assert.equal(await stands(text), true);
    assert.equal(await stands(text, [ann]), false);
    assert.equal(await stands(text, [ann, { ...bob, name: 'Robert' }]), true);
  });

  it('need a key of each approver’s own', async () => {
    const fails = (code: string, message: RegExp, ...approvers: { name: string; key: string }[]) =>
      assert.rejects(
        approverKeys(s.step, approvers),
        (error: unknown) => error instanceof Failure && error.code === code && message.test(error.message),
        String(message),
      );
    await fails('StreamInvalid', /`ann` and `Anna` have the same key [0-9A-F]{40}/, ann, {
      ...ann,
      name: 'Anna',
    });
    await fails('StreamInvalid', /two are called `ann`/, ann, { ...bob, name: 'ann' });
    await fails('KeyMissing', /key of `zoe`: .*zoe\.asc: no such key file/, {
      name: 'zoe',
      key: s.at('zoe.asc'),
    });
    const key = await s.write('both.asc', await people.gpg(['--armor', '--export', 'ann@', 'bob@']));
    await fails('KeyMissing', /key of `zoe`: .*both\.asc: holds 2 keys: export one/, { name: 'zoe', key });
    const text = await s.write('text.asc', 'no key\n');
    await fails('KeyMissing', /text\.asc: not an OpenPGP public key/, { name: 'zoe', key: text });
  });
});
