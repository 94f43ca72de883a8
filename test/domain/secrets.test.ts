/** Secrets are masked in every form, and nothing else is. */
import assert from 'node:assert/strict';
import { Failure } from '../../src/domain/failures.js';
import { knowAddress, knowSecret, mask } from '../../src/domain/secrets.js';

describe('the masker', () => {
  const masked: Readonly<Record<string, string>> = {
    'GET http://bob:s3cret@host.example/path': 'GET http://***@host.example/path',
    'http://bob:s3:c@ret@host/ https://ghp_token@host/': 'http://***@host/ https://***@host/',
    "cloning 'ssh://git:pw@host/x'": "cloning 'ssh://***@host/x'",
    'next=http%3A%2F%2Fbob%3As3cret%40host%2Fpath': 'next=http%3A%2F%2F***%40host%2Fpath',
    'Authorization: Basic Ym9iOnMzY3JldA==': 'Authorization: ***',
    '{"authorization":"Bearer abc.def"}': '{"authorization":"***"}',
    "curl -H 'Private-Token: abc' -H 'Cookie: session=abc'": "curl -H 'Private-Token: ***' -H 'Cookie: ***'",
    'https://host/hook?token=abc&x=1': 'https://host/hook?token=***&x=1',
    'https://host/a?X-Amz-Signature=0f&access_token=a%2Fb#c':
      'https://host/a?X-Amz-Signature=***&access_token=***#c',
    'to=%2Fa%3Ftoken%3Dabc%26b': 'to=%2Fa%3Ftoken%3D***%26b',
    'password=s3cret PGPASSWORD="two"': 'password=*** PGPASSWORD="***"',
    'password = s3cret': 'password =***',
    '{"user":"bob","password":"s3cret"}': '{"user":"bob","password":"***"}',
  };
  for (const [text, wanted] of Object.entries(masked))
    it(text, () => {
      assert.equal(mask(text), wanted);
      assert.equal(mask(wanted), wanted);
    });

  const plain = [
    'ssh://git@host/x and rsync://mirror@host/module',
    'https://example.org/a:b@c mail to sig@example.org',
    'rpm --define=_dbpath=/x SOURCE_DATE_EPOCH=1 exit code=3 gpgkey=file:///k.asc',
    'release.mail.passwordFile: /etc/pw: cannot be read',
    'http://host/a?name=token%20key&page=2',
    'unexpected token: } at 12:30:01, key: 5',
    'gpg: signing failed: Bad passphrase',
  ];
  for (const text of plain) it(`leaves alone: ${text}`, () => assert.equal(mask(text), text));

  describe('knows a value', () => {
    const secret = 'zw?rg/"ä 9\'x';
    before(() => knowSecret(secret));
    const bytes = Buffer.from(secret);
    const forms: Readonly<Record<string, string>> = {
      'as it is': secret,
      'in a shell word': `'${secret.replaceAll("'", `'\\''`)}'`,
      'in JSON': JSON.stringify({ a: secret }),
      'percent-encoded': `http://h/?q=${encodeURIComponent(secret)}`,
      'in hex': bytes.toString('hex'),
      'as Latin-1 of its UTF-8': bytes.toString('latin1'),
      'in base64': bytes.toString('base64'),
      'in base64 of user:password': Buffer.from(`bob:${secret}`).toString('base64'),
      'in base64 of JSON': Buffer.from(`{"pw":"${secret}"}`).toString('base64url'),
    };
    for (const [name, text] of Object.entries(forms))
      it(name, () => {
        const result = mask(`before ${text} after`);
        assert.match(result, /^before .*\*\*\*.* after$/);
        for (const part of [
          'zw',
          'rg',
          '9x',
          bytes.toString('hex').slice(2, 10),
          bytes.toString('base64').slice(2, 10),
        ])
          assert.ok(!result.includes(part), result);
      });
    it('but none that is a syllable', () => {
      knowSecret('abc');
      assert.equal(mask('abc'), 'abc');
    });
  });

  it('knows the tokens in the address of a webhook, not its words', () => {
    knowAddress('https://hooks.example/services/T0123456789abcdef/hook?short=1&id=abcdefghijklmnopqrst');
    assert.equal(
      mask('https://hooks.example/services/T0123456789abcdef/hook?short=1&id=abcdefghijklmnopqrst'),
      'https://hooks.example/services/***/hook?short=1&id=***',
    );
  });

  it('no failure carries a secret', () => {
    const failure = new Failure('Busy', 'http://a:b@h/', ['token=x', 'fine']);
    assert.deepEqual([failure.message, failure.tail], ['http://***@h/', ['token=***', 'fine']]);
    assert.ok(!failure.stack?.includes('a:b'));
  });

  it('takes no longer than it must for a hostile line', () => {
    const started = performance.now();
    for (const piece of ['://', '=', ':', '%3A%2F%2F', 'token=', '%3D', '://a:', 'a.b-', 'authorization:'])
      mask(piece.repeat((64 * 1024) / piece.length));
    assert.ok(performance.now() - started < 3000, `${performance.now() - started} ms`);
  });
});
