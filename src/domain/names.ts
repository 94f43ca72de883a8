/** Names as they may stand in stream files and statements: they go into argv arrays, paths and URLs. */
import { z } from 'zod';

/** Ids are keys of objects too: no word that every object has, such as `constructor`. */
const id = (pattern: RegExp, error: string) =>
  z
    .string()
    .regex(pattern, { error })
    .refine((text) => !(text in Object.prototype), { error: 'this word is taken: use another' });

/** Of streams and operating systems. */
export const name = id(
  /^[a-z][a-z0-9-]{0,62}$/,
  'use lower-case letters, digits and `-`, starting with a letter',
);
/** Paths, locations and URLs go into argv arrays: a leading `-` would be read as an option. */
export const plain = z
  .string()
  .regex(/^[^\s\x00-\x1f-][^\s\x00-\x1f]*$/, { error: 'no spaces, and not starting with `-`' });
export const httpUrl = plain
  .regex(/^https?:\/\/[^/]+/, { error: 'write an `http://` or `https://` URL' })
  .refine((url) => !/^\w+:\/\/[^/?#]*@/.test(url), {
    error: 'no user or password in a URL: others read this file',
  });

export const refTemplate = z.string().regex(/^\w[\w.-]*(\/(\w[\w.-]*|\$\{arch\}))*$/, {
  error: 'write an ostree ref such as `sample/${arch}/standard`',
});

export const architecture = z.enum(['x86_64', 'aarch64']);
export type Architecture = z.infer<typeof architecture>;

/** A stream, or its line of signed builds (`<stream>.signed`): a folder of the build store. */
export const lineName = id(/^[a-z][a-z0-9-]{0,62}(\.signed)?$/, 'a stream’s name');
/** A run of a chain: a folder of the build store. Temporal's run id. */
export const runId = id(/^[A-Za-z0-9][\w.-]{0,99}$/, 'a run id');
/** A step of a run: the name of its log. That of a rebuilt source package has the package's file name in it. */
export const stepId = id(/^[a-z][\w.+~^-]{0,199}$/, 'a step id such as `image-qcow2`');
/** An image kind: part of file names. */
export const kindName = id(/^[a-z][a-z0-9-]{0,39}$/, 'an image kind such as `qcow2`');
/** A security case: `<yyyymmdd>-<n>`, counted by the stream. */
export const caseId = z.string().regex(/^\d{8}-\d{1,4}$/, { error: 'a case such as `20261123-1`' });
/** A statement's: 32 hex digits, never used twice. */
export const nonce = z.string().regex(/^[0-9a-f]{32}$/, { error: 'write 32 hexadecimal digits' });
/** Attempts at a signed rebuild, a security build or a boot: counted from 1. */
export const attempt = z.int().min(1).max(9999);

const packageNameText = /^[A-Za-z0-9_][\w.+-]{0,199}$/;
/** Whatever may be called so elsewhere, such as in an advisory. */
export const isPackageName = (text: string): boolean => packageNameText.test(text);
export const packageName = id(packageNameText, 'a package name');
/** `[epoch:]version-release`, with or without `.arch`. */
export const packageVersion = id(/^\w[\w.:+~^-]{0,198}$/, 'write [epoch:]version-release');
/** `[epoch:]version-release.arch` of one package, as file names have it. */
export const packageEvra = z.string().regex(/^(\d{1,10}:)?[\w.+~^]{1,99}-[\w.+~^]{1,99}\.\w{1,20}$/, {
  error: 'write [epoch:]version-release.arch',
});
/** File name of a source RPM. */
export const srpmFile = z
  .string()
  .regex(/^[A-Za-z0-9_][\w.+~^-]{0,199}\.src\.rpm$/, { error: 'a file name of a source RPM' });
/** Text for people, as long as a mail's. */
export const prose = z.string().max(20_000);

/** Ids end up in file names, pages and mails. */
export const advisoryId = id(/^[A-Za-z0-9][\w.:+-]{0,99}$/, 'an advisory id such as `CESA-2026:0001`');

/** Hex sha256: of files and of ostree commits. */
export const sha256 = z.string().regex(/^[0-9a-f]{64}$/, { error: 'write 64 hexadecimal digits' });

/** Goes into a mail header: one line, no angle brackets but those around the address. */
export const mailbox = z
  .string()
  .regex(
    /^([^<>@\x00-\x1f\x7f]+ <[^\s<>@\x00-\x1f\x7f]+@[^\s<>@\x00-\x1f\x7f]+>|[^\s<>@\x00-\x1f\x7f]+@[^\s<>@\x00-\x1f\x7f]+)$/,
    {
      error: 'write an address such as `Atomic SIG <sig@example.org>`',
    },
  );
