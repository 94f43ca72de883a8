/** Names as they may stand in stream files and statements: they go into argv arrays, paths and URLs. */
import { z } from 'zod';

/** Of streams and operating systems. */
export const name = z.string().regex(/^[a-z][a-z0-9-]{0,62}$/, {
  error: 'use lower-case letters, digits and `-`, starting with a letter',
});
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

export const packageName = z.string().regex(/^[A-Za-z0-9][\w.+-]*$/, { error: 'a package name' });

/** Ids end up in file names, pages and mails. */
export const advisoryId = z
  .string()
  .regex(/^[A-Za-z0-9][\w.:+-]{0,99}$/, { error: 'an advisory id such as `CESA-2026:0001`' });

/** Hex sha256: of files and of ostree commits. */
export const sha256 = z.string().regex(/^[0-9a-f]{64}$/, { error: 'write 64 hexadecimal digits' });

/** Goes into a mail header: one line, no angle brackets but those around the address. */
export const mailbox = z
  .string()
  .regex(/^([^<>@\r\n\x00-\x1f]+ <[^\s<>@]+@[^\s<>@]+>|[^\s<>@]+@[^\s<>@]+)$/, {
    error: 'write an address such as `Atomic SIG <sig@example.org>`',
  });
