/**
 * Settings of the server that Treeline needs. Urgent tasks of a queue are given out first (priority) only by its newer matcher, which is
 * not the default of server 1.29; and in a queue of several partitions each is in order by itself. Without these a security release waits
 * behind what else a worker has to do.
 */
export const dynamicConfig = [
  'matching.useNewMatcher=true',
  'matching.numTaskqueueReadPartitions=1',
  'matching.numTaskqueueWritePartitions=1',
].flatMap((setting) => ['--dynamic-config-value', setting]);
