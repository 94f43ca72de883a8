/** OSV and CSAF documents as their publishers write them. */

export const osv = (change: object = {}) => ({
  ...{ schema_version: '1.6.0', id: 'ALSA-2026:1', modified: '2026-11-21T00:00:00Z' },
  ...{ published: '2026-11-20T10:00:00+02:00', summary: 'Important: bash security update' },
  ...{ aliases: ['GHSA-x'], related: ['CVE-2026-0002', 'CVE-2026-0001'] },
  affected: [affected('bash', '5.1-2.el9')],
  ...change,
});
export const affected = (name: string, fixed: string, introduced = '0', ecosystem = 'AlmaLinux:9') => ({
  package: { ecosystem, name },
  ranges: [{ type: 'ECOSYSTEM', events: [{ introduced }, { fixed }] }],
});

/** As of a vendor whose products are parts of a distribution. */
export const csaf = (change: { tracking?: object; document?: object; rest?: object } = {}) => ({
  document: {
    ...{ category: 'csaf_security_advisory', csaf_version: '2.0', title: 'bash security update' },
    aggregate_severity: { text: 'Critical' },
    tracking: {
      ...{
        id: 'RHSA-2026:1',
        status: 'final',
        version: '1',
        initial_release_date: '2026-11-20T08:00:00+00:00',
      },
      ...change.tracking,
    },
    ...change.document,
  },
  product_tree: {
    branches: [
      {
        ...{ category: 'vendor', name: 'V' },
        branches: [
          { category: 'product_name', name: 'D', product: { product_id: 'BaseOS-9', name: 'BaseOS 9' } },
          {
            ...{ category: 'product_version', name: 'bash' },
            product: {
              product_id: 'bash-0:5.1-2.el9.x86_64',
              name: 'bash',
              product_identification_helper: { purl: 'pkg:rpm/v/bash@5.1-2.el9?arch=x86_64' },
            },
          },
          {
            ...{ category: 'product_version', name: 'zlib' },
            product: {
              ...{ product_id: 'zlib', name: 'zlib' },
              product_identification_helper: { purl: 'pkg:rpm/v/zlib@1.2%2Bgit-9.el9?arch=x86_64&epoch=1' },
            },
          },
        ],
      },
    ],
    relationships: ['bash-0:5.1-2.el9.x86_64', 'zlib', 'curl-0:8-2.el9.noarch'].map((id) => ({
      ...{
        category: 'default_component_of',
        product_reference: id,
        relates_to_product_reference: 'BaseOS-9',
      },
      full_product_name: { product_id: `BaseOS-9:${id}`, name: `${id} as a part of BaseOS 9` },
    })),
  },
  vulnerabilities: [
    {
      cve: 'CVE-2026-0009',
      product_status: { fixed: ['BaseOS-9:bash-0:5.1-2.el9.x86_64', 'BaseOS-9:zlib', 'BaseOS-9'] },
      threats: [{ category: 'impact', details: 'Low' }],
    },
  ],
  ...change.rest,
});
