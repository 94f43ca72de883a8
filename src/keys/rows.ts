/** What `gpg --with-colons` prints, by the fields of its doc/DETAILS. */
export const rowsOf = (text: string) =>
  text.split('\n').map((line) => {
    const field = line.split(':');
    return {
      kind: field[0] ?? '',
      validity: field[1] ?? '',
      bits: Number(field[2]),
      algorithm: field[3] ?? '',
      id: field[4] ?? '',
      created: Number(field[5]),
      expires: field[6] ? new Date(Number(field[6]) * 1000) : undefined,
      /** Of `fpr` the fingerprint, of `uid` the user's name. */
      value: field[9] ?? '',
      class: field[10] ?? '',
      /** Lower case: of this key itself. */
      capabilities: field[11] ?? '',
      token: field[14] ?? '',
      digest: field[15] ?? '',
      curve: field[16] ?? '',
    };
  });
export type Row = ReturnType<typeof rowsOf>[number];

/** A key or subkey that is made for signatures of data. */
const isForSigning = ({ kind, capabilities }: Row) =>
  ['pub', 'sub', 'sec', 'ssb'].includes(kind) && capabilities.includes('s');

/** … that gpg could sign with today: not expired, revoked, invalid or disabled. */
export const signs = (row: Row) => isForSigning(row) && !/[eridn]/.test(row.validity);

/** Why none of these signs: the expired one is named. */
export function whyNone(rows: readonly Row[]): string {
  const expired = rows.filter((row) => isForSigning(row) && row.validity === 'e').at(-1);
  return expired?.expires
    ? `none of its keys can sign today: ${expired.id} expired on ${dayOf(expired.expires)}`
    : 'none of its keys can sign today: expired, revoked or for other uses';
}

export const dayOf = (date: Date) => date.toISOString().slice(0, 10);
