/** Whether the good lines of a file fit to what the farm holds, and to each other. Pure. */
import { judgeDevice, type Misfit, moveIn, type Neighbours } from '../database/devices.ts';
import { type BadLine, type DeviceFile, MAX_COMPLAINTS } from './csv.ts';
import type { Column } from './input.ts';

/** `there`: what the farm holds of all that the file names; the devices of the file move in. `say`: what may be told of a device that does not fit. */
export function judgeFile(
  { good, bad, badLines }: DeviceFile,
  there: Neighbours,
  say: (misfit: Misfit) => string = ({ message }) => message,
): DeviceFile {
  const refused: BadLine[] = [];
  const fitting = good.filter(({ line, device }) => {
    const verdict = judgeDevice(device, there);
    if (verdict.ok) {
      moveIn(there, device);
      return true;
    }
    const { field } = verdict.error;
    const column: Column = field === 'macs' ? 'mac' : field === 'uuid' || field === 'collection' ? field : 'name';
    const value = field === 'macs' ? device.macs.join(' ') : String(device[field]);
    refused.push({ line, column, value, reason: say(verdict.error) });
    return false;
  });
  const all = [...bad, ...refused].sort((a, b) => a.line - b.line);
  return { good: fitting, bad: all.slice(0, MAX_COMPLAINTS), badLines: badLines + refused.length };
}
