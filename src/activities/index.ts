/** All activities, by the family that they belong to. Workflows import only the types of these. */
import { announceActivities } from './announce.js';
import { candidateActivities } from './candidate.js';
import { composeActivities } from './compose.js';
import { contentActivities } from './content.js';
import { decideActivities } from './decide.js';
import { equivalenceActivities } from './equivalence.js';
import { fixActivities } from './fix.js';
import type { Host } from '../host.js';
import { imageActivities } from './images.js';
import { notifyActivities } from './notify.js';
import { rebuildActivities } from './rebuild.js';
import { reimzulActivities } from './reimzul.js';
import { prepareActivities } from './prepare.js';
import { publishActivities } from './publish.js';
import { releaseActivities } from './release.js';
import { signPackagesActivities } from './sign-packages.js';
import { signActivities } from './sign.js';
import { signedReleaseActivities } from './signed-release.js';
import { watchActivities } from './advisory-watch.js';
import { viewActivities } from './view.js';

/** The activities of each role. A role is a task queue; compose and images have one per architecture. */
export const activitiesOf = {
  control: (host: Host) => ({
    ...prepareActivities(host),
    ...notifyActivities(host),
    ...decideActivities(host),
    ...viewActivities(host),
    ...candidateActivities(host),
    ...watchActivities(host),
    loadSigned: rebuildActivities(host).loadSigned,
    loadFix: fixActivities(host).loadFix,
  }),
  compose: (host: Host) => ({
    ...composeActivities(host),
    ...contentActivities(host),
    collect: rebuildActivities(host).collect,
    checkRework: rebuildActivities(host).checkRework,
    strict: rebuildActivities(host).strict,
    collectSrpms: fixActivities(host).collectSrpms,
    planFix: fixActivities(host).planFix,
    overrideLockfile: fixActivities(host).overrideLockfile,
    ...equivalenceActivities(host),
    preflight: prepareActivities(host).preflight,
    cleanUp: prepareActivities(host).cleanUp,
  }),
  images: imageActivities,
  reimzul: reimzulActivities,
  signing: (host: Host) => ({ ...signActivities(host), ...signPackagesActivities(host) }),
  publish: (host: Host) => ({
    ...publishActivities(host),
    keepFix: fixActivities(host).keepFix,
    ...releaseActivities(host),
    ...signedReleaseActivities(host),
    ...announceActivities(host),
  }),
} as const;

export type Role = keyof typeof activitiesOf;
export const roles = Object.keys(activitiesOf) as Role[];

export type ControlActivities = ReturnType<(typeof activitiesOf)['control']>;
export type ComposeActivities = ReturnType<(typeof activitiesOf)['compose']>;
export type ReimzulActivities = ReturnType<(typeof activitiesOf)['reimzul']>;
export type ImageActivities = ReturnType<(typeof activitiesOf)['images']>;
export type SigningActivities = ReturnType<(typeof activitiesOf)['signing']>;
export type PublishActivities = ReturnType<(typeof activitiesOf)['publish']>;
