import js from '@eslint/js';
import importX from 'eslint-plugin-import-x';
import tseslint from 'typescript-eslint';

const steps = ['activities', 'workflows', 'cli', 'schedules', 'temporal'];
/** From the highest down: each knows those below it alone. */
const matters = ['rebuild', 'release', 'security', 'publish', 'pages'];
const besides = ['reimzul', 'notify', 'web'];

const layer = (folders, refused) => ({
  files: [`src/${folders}/**`],
  rules: {
    'no-restricted-imports': [
      'error',
      {
        patterns: [
          {
            group: refused.map((folder) => `../**/${folder}/**`),
            message: 'Upward: move what both need to where it belongs.',
          },
        ],
      },
    ],
  },
});

export default tseslint.config(
  {
    ignores: ['dist', '.treeline', 'node_modules', 'test/recorded', 'test/reporter.cjs', 'eslint.config.js'],
  },
  js.configs.recommended,
  tseslint.configs.strictTypeChecked,
  {
    plugins: { 'import-x': importX },
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-deprecated': 'error',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-confusing-void-expression': 'off',
      // Object destructuring to leave a key out is the plain way to do that.
      '@typescript-eslint/no-unused-vars': ['error', { ignoreRestSiblings: true }],
      'no-control-regex': 'off',
    },
  },
  {
    // Workflows are replayed: no I/O, no clock, no environment but the workflow's own.
    files: ['src/workflows/**'],
    ignores: ['src/workflows/bundle.ts', 'src/workflows/messages.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          paths: [
            {
              name: '@temporalio/workflow',
              importNames: [
                'setHandler',
                'setDefaultSignalHandler',
                'defineSignal',
                'defineUpdate',
                'defineQuery',
              ],
              message: 'What is said to workflows is checked by a schema: see messages.ts.',
            },
          ],
          patterns: [
            {
              group: ['node:*', 'execa', '**/steps/*', '**/store/*', '**/settings.js'],
              message: 'Workflows do no I/O: make it an activity.',
            },
            {
              group: ['**/activities/*'],
              message: 'Import activities as types only.',
              allowTypeImports: true,
            },
          ],
        },
      ],
      'no-restricted-globals': ['error', 'process', 'fetch', 'Buffer'],
    },
  },
  // The layers of README.md: an import goes sideways or down.
  ...matters.map((matter, place) => layer(matter, [...steps, ...matters.slice(0, place)])),
  layer(`{${besides}}`, [...steps, ...matters.slice(0, 3)]),
  layer('{streams,composers,images,rpm,keys,ostree,store,steps}', [...steps, ...matters, ...besides]),
  {
    files: ['src/domain/*'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [{ group: ['node:*', 'execa', '../*'], message: 'The domain is pure and stands alone.' }],
        },
      ],
    },
  },
  {
    files: ['src/domain/*/**'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            { group: ['node:*', 'execa', '../../*'], message: 'The domain is pure and stands alone.' },
          ],
        },
      ],
    },
  },
  { files: ['test/**'], rules: { '@typescript-eslint/no-non-null-assertion': 'off' } },
  {
    files: ['bin/*', '**/*.js', '**/*.mjs'],
    extends: [tseslint.configs.disableTypeChecked],
    languageOptions: { globals: { process: 'readonly', console: 'readonly' } },
  },
);
