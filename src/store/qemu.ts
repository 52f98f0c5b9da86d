/** qemu-img of Debian, by which images of other programs come in and go out: bounded, its format always said. */
import { ok, type Result } from '../kit/result.ts';
import { runTool, type ToolFault } from './tool.ts';

/** An image may be made to cost: of memory qemu-img takes some 50 MiB, and of a processor a second a GB; six hours are for the largest. */
const BOUNDS = ['--as=1073741824', '--nofile=64', '--core=0', '--cpu=21600'];
/** What it says on standard output. `accepted`: what it may end with; `onPercent`: of `-p`, whose words are for nobody else. */
export async function qemuImg(
  accepted: readonly number[],
  signal: AbortSignal | undefined,
  words: readonly string[],
  onPercent?: (percent: number) => void,
): Promise<Result<string, ToolFault>> {
  let out = '';
  const onBytes = (bytes: Buffer): void => {
    const text = bytes.toString();
    const percent = /\((\d+\.\d+)\/100%\)\s*$/.exec(text)?.[1];
    if (onPercent === undefined) out += text;
    else if (percent !== undefined) onPercent(Number(percent));
  };
  const run = await runTool('qemu-img', words, { bounds: BOUNDS, accepted, signal, onBytes });
  return run.ok ? ok(out) : run;
}
