/** The page of an equivalence report, `equivalence.html` beside a build's page. */
import type { Difference, Equivalence } from '../domain/equivalence.js';
import { Columns, Page, Table, toHtml } from './layout.js';

/** From a build's folder to the stream's root. */
const root = '../../../';

const kinds: Readonly<Record<Difference['kind'], string>> = {
  package: 'Packages',
  file: 'Files in packages',
  script: 'Scripts',
  dependency: 'Dependencies',
  tree: 'Trees',
};

/** Renders the report. `title` is the stream's name for people. */
export const renderEquivalence = (input: { title: string; report: Equivalence }): string =>
  toHtml(<EquivalencePage {...input} />);

function EquivalencePage({ title, report }: { title: string; report: Equivalence }) {
  const { accepted, rebuilt, counts, architecture, differences } = report;
  return (
    <Page
      title={`${title}: equivalence of the rebuild of ${accepted.build}, ${architecture}`}
      base={root}
      crumbs={[
        { label: title, href: `${root}index.html` },
        { label: 'Build', href: 'index.html' },
        { label: 'Equivalence' },
      ]}
      footer={<a href="equivalence.json">equivalence.json</a>}
    >
      <h1>
        Equivalence <small>{architecture}</small>
      </h1>
      <p class="lead">How the signed rebuild differs from the build that was accepted.</p>
      <dl class="facts">
        <dt>Verdict</dt>
        <dd>
          {counts.unexpected === 0 ? (
            <span class="badge good">nothing unexpected</span>
          ) : (
            <span class="badge bad">{counts.unexpected} unexpected</span>
          )}
        </dd>
        <dt>Expected differences</dt>
        <dd>{counts.expected}</dd>
        <dt>Accepted build</dt>
        <dd>
          {accepted.build}, commit <code>{accepted.commit}</code>
        </dd>
        <dt>Rebuilt commit</dt>
        <dd>
          <code>{rebuilt.commit}</code>
        </dd>
        <dt>Rebuilt packages</dt>
        <dd>{rebuilt.packages}</dd>
      </dl>
      <Differences
        id="unexpected"
        title="Unexpected"
        none="None: what differs is what a rebuild changes."
        total={counts.unexpected}
        all={differences.filter(({ expected }) => !expected)}
      />
      <Differences
        id="expected"
        title="Expected"
        none="None: the trees are the same."
        total={counts.expected}
        all={differences.filter(({ expected }) => expected)}
      />
    </Page>
  );
}

interface DifferencesProps {
  readonly id: string;
  readonly title: string;
  readonly none: string;
  /** How many there are; the report may have fewer. */
  readonly total: number;
  readonly all: readonly Difference[];
}

function Differences({ id, title, none, total, all }: DifferencesProps) {
  const groups = Object.entries(kinds)
    .map(([kind, label]) => ({ label, own: all.filter((one) => one.kind === kind) }))
    .filter(({ own }) => own.length > 0);
  return (
    <section aria-labelledby={id}>
      <h2 id={id}>
        {title} ({total})
      </h2>
      {total === 0 ? (
        <p>{none}</p>
      ) : (
        <Table caption={`${title} differences`}>
          <Columns names={['Where', 'What differs']} />
          {groups.map(({ label, own }) => (
            <tbody key={label}>
              <tr>
                <th scope="rowgroup" colSpan={2} class="group">
                  {label} ({own.length})
                </th>
              </tr>
              {own.map(({ subject, what }, i) => (
                <tr key={i}>
                  <th scope="row" class="name file">
                    {subject}
                  </th>
                  <td class="file">{what}</td>
                </tr>
              ))}
            </tbody>
          ))}
        </Table>
      )}
      {all.length < total && <p class="quiet">The first {all.length} are shown.</p>}
    </section>
  );
}
