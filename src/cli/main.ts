/** The `treeline` command. Each sub-command is a file in `commands/`. */
import { runCli, sayFailure } from './run.js';

/** What a shell shows of a command that a closed pipe has ended, such as by `| head`. */
const pipeClosed = 141;

// Nobody reads on: as for Ctrl-C, where the command has something to end in order.
let closed = false;
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  if (closed) return;
  closed = true;
  if (process.listenerCount('SIGTERM') > 0) process.kill(process.pid, 'SIGTERM');
  else process.exit(pipeClosed);
});
process.stderr.on('error', () => undefined);
process.on('uncaughtException', (error) => void sayFailure(error).then((code) => process.exit(code)));

// What is published, and what trees are made of, is for all to read: whatever the umask of whoever started this.
process.umask(0o022);
process.exitCode = await runCli(process.argv.slice(2));
// Idle connections to the server would hold the process for some seconds more.
process.exit();
