/**
 * The steps of a build, in the order of the nightly: their titles in the workflows, and what `nightly --dry-run` lists. A step of each
 * architecture or image has that behind its id: `compose-aarch64`, `image-qcow2`.
 */
export interface BuildStep {
  /** An imperative phrase; of a step per image it has the image's kind in it. */
  readonly title: string | ((kind: string) => string);
  /** The role of the workers that run it. */
  readonly role: 'control' | 'compose' | 'images' | 'signing' | 'publish';
  readonly each?: 'architecture' | 'image';
}

export const buildSteps = {
  load: { role: 'control', title: 'Read the stream file' },
  preflight: { role: 'compose', each: 'architecture', title: 'Check space, tools, keys and target' },
  parent: { role: 'compose', each: 'architecture', title: 'Pull the last published commit' },
  resolve: { role: 'compose', each: 'architecture', title: 'Resolve packages to a lockfile' },
  fixes: { role: 'control', each: 'architecture', title: 'Check for lost security fixes' },
  reserve: { role: 'control', title: 'Reserve the build id' },
  download: { role: 'compose', each: 'architecture', title: 'Fetch and verify packages' },
  compose: { role: 'compose', each: 'architecture', title: 'Make the tree' },
  inputs: { role: 'compose', each: 'architecture', title: 'Check that package repos are unchanged' },
  commit: { role: 'compose', each: 'architecture', title: 'Commit the tree' },
  'check-content': {
    ...{ role: 'compose', each: 'architecture' },
    title: 'Check the tree against lockfile and RPM database',
  },
  diff: { role: 'compose', each: 'architecture', title: 'Compare packages with the parent' },
  'sign-commit': { role: 'signing', each: 'architecture', title: 'Sign the commit' },
  image: { role: 'images', each: 'image', title: (kind: string) => `Make the ${kind} image` },
  boot: { role: 'images', each: 'image', title: (kind: string) => `Boot the ${kind} image` },
  'sign-images': { role: 'signing', each: 'architecture', title: 'Sign the images and checksums' },
  snapshot: { role: 'publish', title: 'Copy the commit to the snapshot repo and check it' },
  'sign-summary': { role: 'signing', title: 'Sign the summary' },
  'push-repo': { role: 'publish', title: 'Push objects' },
  'push-images': { role: 'publish', title: 'Push images' },
  switch: { role: 'publish', title: 'Switch refs and summary' },
  verify: { role: 'publish', title: 'Pull as an independent client' },
  metadata: { role: 'publish', title: 'Publish metadata and pages' },
  compare: { role: 'publish', title: 'Compare what readers get with what was published' },
} as const satisfies Record<string, BuildStep>;

export type BuildStepName = keyof typeof buildSteps;
