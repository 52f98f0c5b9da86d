/** One attacker, as a process in its namespace: all of its attacks at once, until a line comes on standard input. Prints how often each sent or asked, a second. */
import { createInterface } from 'node:readline';
import { ATTACKS } from './attacks.ts';
import { Field, type FieldOptions, schedule } from './field.ts';

const options: FieldOptions = JSON.parse(process.argv[2] ?? '');
schedule('idle', process.pid); // its program is loaded by now
const began = performance.now();
const fields = options.attacks.map((name, number) => ({ name, field: new Field(options, number) }));

function tell(): void {
  const seconds = (performance.now() - began) / 1_000;
  const seen = fields.map(({ name, field }) => [name, Math.round(field.sent / seconds)]);
  console.log(JSON.stringify(Object.fromEntries(seen)));
  process.exit(0);
}

createInterface({ input: process.stdin }).once('line', tell).once('close', tell);
setTimeout(tell, options.seconds * 1_000); // whoever began it is gone or stuck
process.on('uncaughtException', (error) => process.stderr.write(`attacker: ${error}\n`));
console.log(JSON.stringify({ loaded: true }));
for (const { name, field } of fields)
  ATTACKS[name]?.(field).catch((error: unknown) =>
    process.stderr.write(`attacker ${options.address}: ${name} ended: ${error}\n`),
  );
