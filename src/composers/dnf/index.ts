/** The embedded composer: dnf for the depsolve, rpm for the install, the ostree layout, dracut, `ostree commit`. */
import type { Composer } from '../composer.js';
import { commit } from './commit.js';
import { compose } from './compose.js';
import { download, resolve } from './packages.js';

export const dnfComposer: Composer = { resolve, download, compose, commit };
