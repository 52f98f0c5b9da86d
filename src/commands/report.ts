/** `bootfarm report`: what somebody who helps must see of a cluster's farms, in one file and without a secret. */
import { writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { Command } from 'commander';
import { errorMessage } from '../kit/errors.ts';
import { createClient } from '../kube/client.ts';
import { kubeConfigOfProcess } from '../kube/config.ts';
import { rawReader } from '../kube/raw.ts';
import { attempt, must, Refusal } from '../terminal/refusal.ts';
import { type Terminal, terminalOfProcess } from '../terminal/terminal.ts';
import { gatherReport } from './report-parts.ts';
import { tarOf } from './report-tar.ts';

interface Options {
  readonly output?: string;
  readonly namespaces?: string;
  readonly operatorNamespace: string;
}

export function reportCommand(terminal: Terminal = terminalOfProcess): Command {
  return new Command('report')
    .description('a bundle for support, as a tar.gz: resources, Events, logs, metrics, versions; no secret')
    .option('-o, --output <file>', 'write it there; absent: to standard output')
    .option(
      '--namespaces <names>',
      'those that hold farms, comma-separated; absent: all, which who asks must be allowed to list',
    )
    .option('--operator-namespace <name>', 'where the operator runs', process.env['POD_NAMESPACE'] ?? 'bootfarm')
    .configureOutput({ writeOut: terminal.out, writeErr: terminal.err })
    .addHelpText(
      'after',
      `
It reads no Secret; passwords in addresses, tokens, tickets and keys are taken out of all else. A part that fails is named in faults.txt, and the rest goes on: logs
and metrics need the rights pods/log and pods/proxy, which a person may have and the operator does not.

Examples:
  bootfarm report -o report.tar.gz
  kubectl exec -n bootfarm deploy/bootfarm -- bootfarm report --namespaces lab >report.tar.gz`,
    )
    .action((options: Options) => attempt(terminal, () => write(options, terminal)));
}

async function write({ output, namespaces, operatorNamespace }: Options, terminal: Terminal): Promise<void> {
  if (output === undefined && terminal.columns !== undefined)
    throw new Refusal('a report is no text for a screen: say --output FILE, or send it to a file or a pipe');
  const config = must(kubeConfigOfProcess());
  const [client, raw] = [createClient(config), rawReader(config)];
  try {
    const files = await gatherReport({ client, raw, namespaces: namespaces?.split(',') ?? [], operatorNamespace });
    const bytes = gzipSync(tarOf(files, Math.floor(Date.now() / 1_000)));
    if (output === undefined) process.stdout.write(bytes);
    else save(output, bytes);
    const faults = files.find(({ path }) => path.endsWith('/faults.txt'))?.text ?? '';
    terminal.err(faults === '' ? '' : `left out, and why:\n${faults}`);
  } finally {
    await Promise.all([client.close(), raw.close()]);
  }
}

function save(path: string, bytes: Buffer): void {
  try {
    writeFileSync(path, bytes, { mode: 0o600 });
  } catch (thrown) {
    throw new Refusal(`the report cannot be written: ${errorMessage(thrown)}. Name another file by --output`);
  }
}
