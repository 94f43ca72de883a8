/**
 * A stream has up to two lines of builds: its nightlies under its own name, and its signed rebuilds under `<stream>.signed`, with a
 * store and a testing location of their own. Free of schemas, so that workflows may import it.
 */
export const signedName = (stream: string) => `${stream}.signed`;
/** The stream that a line belongs to; a stream's own name for the stream. */
export const baseOf = (name: string) => name.replace(/\.signed$/, '');
/** Is it the line of a stream's signed builds? */
export const isSignedLine = (name: string) => baseOf(name) !== name;

/** Temporal's priority of security releases, by which they come before what waits on the same task queue. */
export const urgent = { priorityKey: 1 } as const;
/** Their own task queue beside one with few slots, for what runs there already. */
export const urgentLane = (queue: string) => `${queue}-urgent`;
