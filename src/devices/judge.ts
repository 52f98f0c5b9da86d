/** Whether the good lines of a file fit to what the farm holds, and to each other. Pure. */
import { judgeDevice, moveIn, type Neighbours } from '../database/devices.ts';
import type { BadLine, DeviceFile } from './csv.ts';
import type { Column } from './input.ts';

/** `there`: what the farm holds of all that the file names; the devices of the file move in. */
export function judgeFile({ good, bad }: DeviceFile, there: Neighbours): DeviceFile {
  const refused: BadLine[] = [];
  const fitting = good.filter(({ line, device }) => {
    const verdict = judgeDevice(device, there);
    if (verdict.ok) {
      moveIn(there, device);
      return true;
    }
    const { field, message } = verdict.error;
    const column: Column = field === 'macs' ? 'mac' : field === 'uuid' || field === 'collection' ? field : 'name';
    const value = field === 'macs' ? device.macs.join(' ') : String(device[field]);
    refused.push({ line, column, value, reason: message });
    return false;
  });
  return { good: fitting, bad: [...bad, ...refused].sort((a, b) => a.line - b.line) };
}

/** Lines, not complaints: one line may have several. */
export const badLines = (bad: readonly BadLine[]): number => new Set(bad.map(({ line }) => line)).size;
