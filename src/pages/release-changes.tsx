/** What changed in a release: packages with their changelogs, and the advisories that it fixes. */
import type { Advisory, ChangeNote, ReleaseNotes } from '../domain/release.js';
import { allAdvisories } from '../domain/release.js';
import { changeKinds, groupChanges, type Change, type ChangeKind } from './facts.js';
import { Columns, Table, When } from './layout.js';
import { webLink } from './links.js';

type Architectures = ReleaseNotes['architectures'];

/** The package difference to the former release, per architecture. */
export const ReleaseChanges = ({
  architectures,
  former,
}: {
  architectures: Architectures;
  former: string | null;
}) => (
  <section aria-labelledby="changes">
    <h2 id="changes">Packages changed{former && ` since ${former}`}</h2>
    {architectures.map(({ architecture, changes }) => (
      <>
        {architectures.length > 1 && <h3>{architecture}</h3>}
        {!changes ? (
          <p>A first release: there is none before it to compare with.</p>
        ) : changes.length === 0 ? (
          <p>No package changed since the former release.</p>
        ) : (
          <Changes notes={changes} Heading={architectures.length > 1 ? 'h4' : 'h3'} />
        )}
      </>
    ))}
  </section>
);

function Changes({ notes, Heading }: { notes: readonly ChangeNote[]; Heading: 'h3' | 'h4' }) {
  const groups = groupChanges(notes.map(({ change }) => change));
  const changelogs = new Map(notes.map((note) => [keyOf(note), note.changelog]));
  return changeKinds
    .filter((kind) => groups[kind].length > 0)
    .map((kind) => (
      <>
        <Heading class="kind">
          {kind[0]?.toUpperCase()}
          {kind.slice(1)} ({groups[kind].length})
        </Heading>
        <ul class="changes">
          {groups[kind].map((change) => (
            <li key={`${change.name}.${change.arch}`}>
              <Versions kind={kind} {...change} />
              <Changelog entries={changelogs.get(`${change.name}.${change.arch}`) ?? []} name={change.name} />
            </li>
          ))}
        </ul>
      </>
    ));
}

const keyOf = ({ change: [name, , { NewPackage, PreviousPackage }] }: ChangeNote) =>
  `${name}.${(NewPackage ?? PreviousPackage)?.[2] ?? ''}`;

const Versions = ({ kind, name, arch, from, to }: Change & { kind: ChangeKind }) => (
  <>
    <b>{name}</b>{' '}
    <span>
      {from && to ? (
        <>
          <del>{from}</del> <span aria-hidden="true">{kind === 'downgraded' ? '↓' : '→'}</span>
          <span class="unseen"> to </span> <ins>{to}</ins>
        </>
      ) : (
        (to ?? from)
      )}{' '}
      <span class="quiet">{arch}</span>
    </span>
  </>
);

function Changelog({ entries, name }: { entries: ChangeNote['changelog']; name: string }) {
  if (entries.length === 0) return null;
  return (
    <details>
      <summary>
        Changelog<span class="unseen"> of {name}</span> ({entries.length})
      </summary>
      {entries.map(({ time, author, text }, index) => (
        <div class="entry" key={index}>
          <p class="quiet">
            <When at={time} /> · {author}
          </p>
          <p class="text">{text}</p>
        </div>
      ))}
    </details>
  );
}

const severities = ['Critical', 'Important', 'Moderate', 'Low'];
const tones = ['bad', 'bad', 'warn'];
const rank = ({ severity = '' }: Advisory) => {
  const place = severities.indexOf(severity);
  return place < 0 ? severities.length : place;
};

/** The advisories of all architectures, each once, the gravest first. */
export function Advisories({ notes }: { notes: ReleaseNotes }) {
  const advisories = allAdvisories(notes).sort((a, b) => rank(a) - rank(b));
  const first = notes.former === null;
  return (
    <section aria-labelledby="advisories">
      <h2 id="advisories">Advisories</h2>
      {advisories.length === 0 ? (
        <p>
          {first
            ? 'A first release: there is no former one against which it could fix anything.'
            : 'The package repositories name no advisory for the packages that changed.'}
        </p>
      ) : (
        <Table caption="Advisories fixed by this release, the gravest first">
          <Columns names={['Advisory', 'Severity', 'CVEs and bugs', 'Packages']} />
          <tbody>
            {advisories.map((advisory) => (
              <Row advisory={advisory} key={advisory.id} />
            ))}
          </tbody>
        </Table>
      )}
    </section>
  );
}

const Row = ({ advisory }: { advisory: Advisory }) => (
  <tr>
    <th scope="row" class="file">
      {advisory.id}
      <div class="title">{advisory.title}</div>
    </th>
    <td>
      {advisory.severity && (
        <span class={`badge ${tones[rank(advisory)] ?? 'plain'}`}>{advisory.severity}</span>
      )}
      <div class="quiet">{advisory.type}</div>
    </td>
    <td class="references">
      {advisory.references.map((reference) => {
        const href = reference.href && webLink(reference.href);
        return <div key={reference.id}>{href ? <a href={href}>{reference.id}</a> : reference.id}</div>;
      })}
    </td>
    <td class="reason">{advisory.packages.join(', ')}</td>
  </tr>
);
