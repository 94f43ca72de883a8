/**
 * An instance with published builds of the tiny stream, real mail, and tools that can be held in the middle of a step: releases
 * take seconds here. Decisions are real signed statements, sent to the real stream workflow.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { execa } from 'execa';
import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ApplicationFailure } from '@temporalio/common';
import { WorkflowFailedError } from '@temporalio/client';
import { refusalOf, sendUpdate } from '../../src/cli/entity.js';
import { makeStatement, signStatement } from '../../src/cli/statement.js';
import type { StreamView } from '../../src/domain/promotion.js';
import { releaseIndex } from '../../src/domain/release.js';
import type { ChainProgress } from '../../src/domain/run.js';
import type { Decision } from '../../src/domain/statement.js';
import { answer } from '../../src/web/files.js';
import { servedFolders } from '../../src/web/serve.js';
import { releaseId, streamId, type Answer } from '../../src/workflows/decisions/stream-messages.js';
import { Gate } from './gate.js';
import { TestInstance } from './instance.js';
import { until } from './ports.js';
import { startSmtp, type Received, type Smtp } from './smtp.js';
import { declareTiny, releaseRef, sharedStore, type TinyBuild, type TinyStore } from './tiny-store.js';

export interface Client {
  /** Pulls the release ref as a machine would, with verification of commit and summary. */
  pull(): Promise<{ commit: string; error?: never } | { error: string; commit?: never }>;
}

export class TinyInstance {
  #web: Server | undefined;
  #next = 0;
  /** Readers' requests that match wait until this is undefined again. */
  holdWeb: RegExp | undefined;
  /** A request was held. */
  webHeld = false;

  private constructor(
    readonly instance: TestInstance,
    readonly builds: TinyStore,
    readonly smtp: Smtp,
    readonly gate: Gate,
    /** Are signed rebuilds released? To mirror and cloud then. */
    readonly signed: boolean,
  ) {}

  /** `location`: where releases, or their repo, are written, given the instance. */
  static async start(
    location?: (instance: TestInstance) => Promise<string>,
    signed = false,
  ): Promise<TinyInstance> {
    const template = await sharedStore(signed);
    const folder = await mkdtemp(join(tmpdir(), 'treeline-tiny-'));
    const env = { TREELINE_STATE: join(folder, 'state'), TREELINE_STREAMS: join(folder, 'streams') };
    const gate = await Gate.make(join(folder, 'gate'), join(env.TREELINE_STATE, 'store/tiny/runs/*/logs'));
    const instance = await TestInstance.create({ ...env, TREELINE_PATH: gate.path });
    const { state, streams, webPort } = instance.settings;
    await execa('cp', ['-a', `${template.host.settings.state}/.`, state]);
    const smtp = await startSmtp({ tls: 'none' });
    const at = location && { location: await location(instance) };
    await declareTiny(streams, { approvers: template.approvers, smtpPort: smtp.port, signed, ...at });
    const tiny = new TinyInstance(instance, template.at(state, streams, webPort), smtp, gate, signed);
    await tiny.startWeb();
    await instance.startServer();
    await instance.startWorker();
    return tiny;
  }

  async startWeb(): Promise<void> {
    const gate = async (url: string) => {
      while (this.holdWeb?.test(url)) {
        this.webHeld = true;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    };
    const served = await servedFolders(this.instance.store().www());
    this.#web = createServer((req, res) => {
      gate(req.url ?? '')
        .then(() => answer(served, req, res))
        .catch(() => res.destroy());
    }).listen(this.instance.settings.webPort, '127.0.0.1');
    await once(this.#web, 'listening');
  }

  readonly #served = (name: string) => `http://127.0.0.1:${this.instance.settings.webPort}/${name}/tiny`;
  /** Address of the release location: of all but the repo, if that is elsewhere. */
  get url(): string {
    return this.#served(this.signed ? 'cloud' : 'releases');
  }
  /** Address of the location of the repo. */
  get repoUrl(): string {
    return this.#served(this.signed ? 'mirror' : 'releases');
  }
  /** Its folder, unless it is elsewhere. */
  readonly released = (...parts: string[]) =>
    join(this.instance.store().www(), this.signed ? 'cloud/tiny' : 'releases/tiny', ...parts);
  /** Mirror's folder. */
  readonly mirrored = (...parts: string[]) => join(this.instance.store().www(), 'mirror/tiny', ...parts);
  /** The build's files in the build store. */
  readonly files = ({ run }: TinyBuild, ...parts: string[]) =>
    join(this.instance.store().archDir({ stream: this.builds.line, run }, 'x86_64'), 'build', ...parts);
  /** The next build that was not asked for yet. */
  next(): TinyBuild {
    return this.builds.builds[this.#next++] ?? assert.fail('there are no more builds');
  }
  /** The last that was asked for, or one so many before it. */
  last(before = 0): TinyBuild {
    return this.builds.builds[this.#next - 1 - before] ?? assert.fail('there was none');
  }

  async view(): Promise<StreamView> {
    const client = await this.instance.client();
    return client.workflow.getHandle(streamId('tiny')).query<StreamView>('view');
  }
  readonly current = async (): Promise<string | null> => {
    const found = await fetch(`${this.url}/releases.json`);
    if (found.status === 404) return null;
    return releaseIndex.parse(await found.json()).releases.at(-1)?.version ?? null;
  };

  /** Signs a decision and sends it. */
  async decide(decision: Decision, { build, commit }: TinyBuild, who: string): Promise<Answer> {
    const facts = {
      stream: 'tiny',
      decision,
      build,
      commits: { x86_64: commit },
      onto: await this.current(),
    };
    const signer = { key: `${who}@example.org`, home: this.builds.people.home };
    const statement = await signStatement(makeStatement(facts), signer);
    const client = await this.instance.client();
    return decision === 'promote'
      ? sendUpdate(client, 'tiny', 'promote', { build, statement })
      : sendUpdate(client, 'tiny', 'decide', { statement });
  }
  readonly promote = (build: TinyBuild) => this.decide('promote', build, 'ann');
  readonly approve = (build: TinyBuild) => this.decide('approve', build, 'bob');
  /** Both approvals: the release begins. */
  async release(build: TinyBuild): Promise<void> {
    await this.promote(build);
    await this.approve(build);
  }
  /** Once more what failed, or goes on with what waits for a person. */
  async retry(made: TinyBuild, mail?: 'sent' | 'again'): Promise<void> {
    const { build } = made;
    const client = await this.instance.client();
    const request = mail === undefined ? { build } : { build, mail };
    const former = await this.#describe(made);
    try {
      await client.workflow.getHandle(streamId('tiny')).executeUpdate('retry', { args: [request] });
    } catch (error) {
      throw refusalOf(error, 'tiny');
    }
    // Not its phase: it may have failed again before anybody looks.
    if (former.status.name !== 'RUNNING')
      await until('it is tried again', 30, async () => (await this.#describe(made)).runId !== former.runId);
  }
  /** The newest run of the build's release. */
  async #describe({ build }: TinyBuild) {
    const client = await this.instance.client();
    return client.workflow.getHandle(releaseId('tiny', build)).describe();
  }

  /** Waits until the release workflow has ended well and its promotion has left the list. */
  async ended(made: TinyBuild, seconds = 240): Promise<void> {
    const { build } = made;
    // Not asked again and again: that would keep the worker busy.
    await this.#result(made).catch(() => undefined);
    await until(`${build} is released`, seconds, async () => {
      const { current, promotions } = await this.view();
      const mine = promotions.find((promotion) => promotion.build === build);
      if (mine?.phase === 'failed') throw new Error(`${build}: ${mine.note ?? 'failed'}`);
      return current === build && mine === undefined;
    });
  }
  /** Waits for the end of the release workflow. */
  async #result({ build }: TinyBuild): Promise<unknown> {
    const client = await this.instance.client();
    const handle = client.workflow.getHandle(releaseId('tiny', build));
    await until(`the release of ${build} begins`, 60, async () => {
      const { promotions } = await this.view();
      const mine = promotions.find((promotion) => promotion.build === build);
      return mine === undefined || mine.phase === 'releasing' || mine.phase === 'failed';
    });
    return handle.result();
  }
  /** Waits until the release has failed; answers what its promotion says of it. */
  async failed(made: TinyBuild, seconds = 240): Promise<string> {
    const { build } = made;
    await this.#result(made).catch(() => undefined);
    return until(`the release of ${build} fails`, seconds, async () => {
      const { promotions, current } = await this.view();
      if (current === build) throw new Error(`${build} was released`);
      const mine = promotions.find((promotion) => promotion.build === build);
      return mine?.phase === 'failed' && (mine.note ?? '');
    });
  }
  /** The phase of the release workflow, as people see it. */
  readonly phase = async (made: TinyBuild) => (await this.#progress(made))?.phase ?? '';
  /** What it says of a step that is tried again. */
  readonly trouble = async (made: TinyBuild) => (await this.#progress(made))?.trouble ?? '';
  /** The state of what the release writes to. */
  readonly targets = async (made: TinyBuild) => (await this.#progress(made))?.targets;
  async #progress({ build }: TinyBuild): Promise<ChainProgress | undefined> {
    const client = await this.instance.client();
    const handle = client.workflow.getHandle(releaseId('tiny', build));
    return handle.query<ChainProgress>('progress').catch(() => undefined);
  }
  /** Type and message of the release workflow's failure. */
  async failure(made: TinyBuild): Promise<{ type: string | null | undefined; message: string }> {
    const error: unknown = await this.#result(made).then(
      () => assert.fail('it did not fail'),
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof WorkflowFailedError, String(error));
    const cause = error.cause?.cause ?? error.cause;
    assert.ok(cause instanceof ApplicationFailure, error.message);
    return { type: cause.type, message: cause.message };
  }
  /** Log of a step of the build's newest release. */
  async log(made: TinyBuild, step: string): Promise<string> {
    const { runId: run } = await this.#describe(made);
    return readFile(join(this.instance.store().logs({ stream: 'tiny', run }), `${step}.log`), 'utf8');
  }

  /** A machine of a user. */
  async machine(): Promise<Client & { remove(): Promise<void> }> {
    const folder = await mkdtemp(join(tmpdir(), 'treeline-machine-'));
    const ostree = (...args: string[]) => execa('ostree', [`--repo=${folder}`, ...args], { reject: false });
    await ostree('init', '--mode=archive');
    await ostree(
      ...['remote', 'add', '--set=gpg-verify=true', '--set=gpg-verify-summary=true'],
      ...[
        `--gpg-import=${join(this.instance.settings.state, 'keys/treeline.asc')}`,
        'tiny',
        `${this.repoUrl}/repo`,
      ],
    );
    return {
      async pull() {
        const { exitCode, stderr } = await ostree('pull', '--disable-fsync', 'tiny', releaseRef);
        if (exitCode !== 0) return { error: stderr };
        return { commit: (await ostree('rev-parse', `tiny:${releaseRef}`)).stdout };
      },
      remove: () => rm(folder, { recursive: true, force: true }),
    };
  }
  /** What a fresh machine gets. */
  async pull(): Promise<string | undefined> {
    const machine = await this.machine();
    const { commit } = await machine.pull();
    await machine.remove();
    return commit;
  }
  /** The announcements that the mail server took. */
  readonly mails = ({ build }: TinyBuild): Received[] =>
    this.smtp.mailbox.filter(({ parsed }) => parsed.messageId?.startsWith(`<release.tiny.${build}.`));

  /** Asserts that the build is released, whole and once, and that nothing is left behind. */
  async whole(made: TinyBuild): Promise<void> {
    const { build, commit } = made;
    const index = releaseIndex.parse(await (await fetch(`${this.url}/releases.json`)).json());
    const entries = index.releases.filter(({ version }) => version === build);
    assert.deepEqual(
      entries.map(({ commits, treeline }) => [commits[0]?.checksum, treeline.approvers]),
      [[commit, ['ann', 'bob']]],
    );
    assert.equal(await this.pull(), commit);
    const folder = await mkdtemp(join(tmpdir(), 'treeline-download-'));
    for (const name of [`tiny-${build}.qcow2`, `tiny-${build}.qcow2.asc`, 'sha256sum.txt.asc', 'meta.json']) {
      const response = await fetch(`${this.url}/builds/${build}/x86_64/${name}`);
      assert.equal(response.status, 200, name);
      await writeFile(join(folder, name), Buffer.from(await response.arrayBuffer()));
    }
    const image = join(folder, `tiny-${build}.qcow2`);
    const keyring = join(folder, 'key.gpg');
    const key = join(this.instance.settings.state, 'keys/treeline.asc');
    await execa('gpg', ['--batch', '--yes', '--output', keyring, '--dearmor', key]);
    await execa('gpgv', ['--keyring', keyring, `${image}.asc`, image]);
    const sums = await execa('gpgv', [
      ...['--keyring', keyring, '--output', '-', join(folder, 'sha256sum.txt.asc')],
    ]);
    const digest = createHash('sha256')
      .update(await readFile(image))
      .digest('hex');
    assert.equal(sums.stdout.trim(), `${digest}  tiny-${build}.qcow2`);
    const [mail, ...more] = this.mails(made);
    assert.ok(mail, 'the release was announced');
    assert.equal(more.length, 0, 'and once');
    assert.deepEqual(mail.to, ['announce@tiny.invalid']);
    await writeFile(join(folder, 'mail'), mail.parsed.text ?? '');
    await execa('gpgv', ['--keyring', keyring, join(folder, 'mail')]);
    await rm(folder, { recursive: true });
    for (const page of ['index.html', `releases/${build}/index.html`, `releases/${build}/notes.json`])
      assert.equal((await fetch(`${this.url}/${page}`)).status, 200, page);
    assert.match(await (await fetch(`${this.url}/stream.json`)).text(), new RegExp(commit));
    await this.tidy();
  }

  /** Asserts that nothing is left behind: no process, no scratch, no half-written file. */
  async tidy(): Promise<void> {
    let left: string[] = [];
    await until('nothing is left', 20, async () => {
      // The stream's own scratch folder stays, empty.
      const found = (await this.instance.leftovers()).filter((name) => name !== 'scratch folder stream');
      left = [...found, ...(await this.#strays())];
      return left.length === 0;
    }).catch(() => assert.deepEqual(left, []));
  }
  async #strays(): Promise<string[]> {
    const { state } = this.instance.settings;
    const names = await readdir(join(state, 'store/tiny'), { recursive: true });
    const scratch = await readdir(join(state, 'work/stream')).catch(() => []);
    const all = (folder: string) => readdir(folder, { recursive: true }).catch((): string[] => []);
    const target = [...(await all(this.released())), ...(this.signed ? await all(this.mirrored()) : [])];
    return [
      ...scratch,
      // What `writeWhole` of a killed worker leaves is swept later: test/store/leftovers.test.ts.
      ...names.filter((name) =>
        /(^|\/)(?!\.)[^/]+\.tmp$|(^|\/)(pages-[^/]+|(next|former)-[0-9a-f-]{36})$/.test(name),
      ),
      ...target.filter((name) => /~tmp~|(^|\/)\.[^/]+\.\w{6}$/.test(name)),
    ];
  }

  /** SIGKILL, then another worker. */
  async killWorker(): Promise<void> {
    await this.instance.killWorkers();
    await this.gate.open();
    this.holdWeb = undefined;
    await this.instance.startWorker();
  }

  async close(): Promise<void> {
    await this.gate.open();
    this.holdWeb = undefined;
    await this.instance.close();
    this.#web?.closeAllConnections();
    this.#web?.close();
    await this.smtp.close();
  }
}
