/** Debian package metadata in RPM's terms. Pure. */

export interface Evr {
  readonly epoch: number;
  readonly version: string;
  readonly release: string;
}

/**
 * Debian's `[epoch:]upstream[-revision]` as RPM's epoch, version and release. RPM forbids `-` and `:` inside a
 * version: they become `.`. dpkg takes a missing revision for `0`, and so does this.
 */
export function evrOfDebian(text: string): Evr {
  const [, epoch = '0', rest = ''] = /^(?:(\d+):)?(.*)$/s.exec(text.trim()) ?? [];
  const dash = rest.lastIndexOf('-');
  const upstream = dash < 0 ? rest : rest.slice(0, dash);
  const revision = dash < 0 ? '0' : rest.slice(dash + 1);
  const clean = (part: string) => part.replace(/[-:]/g, '.');
  if (!/^[A-Za-z0-9.+~:-]+$/.test(upstream) || !/^[A-Za-z0-9.+~]+$/.test(revision))
    throw new Error(`not a Debian version: ${JSON.stringify(text)}`);
  return { epoch: Number(epoch), version: clean(upstream), release: revision };
}

export const evrText = ({ epoch, version, release }: Evr) =>
  `${epoch > 0 ? `${epoch}:` : ''}${version}-${release}`;

/**
 * Fields of a control file's first paragraph, by name; continuation lines keep their line breaks.
 */
export function parseControl(text: string): Readonly<Record<string, string>> {
  const fields: Record<string, string> = {};
  let name = '';
  for (const line of text.split('\n')) {
    if (line.trim() === '') break;
    const field = /^([A-Za-z0-9-]+):\s*(.*)$/.exec(line);
    if (field?.[1] !== undefined) fields[(name = field[1])] = field[2] ?? '';
    else if (name) fields[name] = `${fields[name] ?? ''}\n${line.trim()}`;
  }
  return fields;
}

const operators: Readonly<Record<string, string>> = {
  '<<': '<',
  '<=': '<=',
  '=': '=',
  '>=': '>=',
  '>>': '>',
};

function relation(text: string): string {
  const match = /^([a-z0-9][a-z0-9+.-]+)(?::[a-z0-9-]+)?(?:\s*\(\s*(<<|<=|=|>=|>>)\s*([^\s)]+)\s*\))?$/.exec(
    text.trim(),
  );
  if (match === null) throw new Error(`not a Debian relation: ${JSON.stringify(text)}`);
  const [, name = '', operator, version] = match;
  if (operator === undefined || version === undefined) return name;
  const evr = evrOfDebian(version);
  // A release that is missing in an RPM dependency matches any: right for `>=`, `<<` and `=`, wrong for these two.
  const exact = version.includes('-') || operator === '>>' || operator === '<=';
  const epoch = evr.epoch > 0 ? `${evr.epoch}:` : '';
  return `${name} ${operators[operator] ?? '='} ${epoch}${evr.version}${exact ? `-${evr.release}` : ''}`;
}

/** `Depends` or `Provides` as RPM dependencies, one per entry; alternatives become rich dependencies. */
export function relations(field: string | undefined): string[] {
  return (field ?? '')
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
    .map((entry) => {
      const alternatives = entry.split('|').map(relation);
      return alternatives.length === 1 ? (alternatives[0] ?? '') : `(${alternatives.join(' or ')})`;
    });
}
