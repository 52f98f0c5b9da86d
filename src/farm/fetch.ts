/** Which files a machine may fetch to boot: kernel and initrd of the version that it boots, and nothing else, the image least of all. Pure. */
import type { BootDecision } from './boot.ts';
import { fileNames } from './files.ts';

export interface KernelFiles {
  readonly kernel: string;
  readonly initrd: string;
}

/** Undefined when the content of the version lacks one of them. */
export function kernelFiles({
  vdisk,
  version,
}: Pick<Extract<BootDecision, { kind: 'boot' }>, 'vdisk' | 'version'>): KernelFiles | undefined {
  const { kernel, initrd } = fileNames(vdisk.fileName, version.number);
  const names = (version.content?.files ?? []).map(({ name }) => name);
  return names.includes(kernel) && names.includes(initrd) ? { kernel, initrd } : undefined;
}

/** What a question names, as it was asked: no text but the exact one is right, so no spelling of a path or a number leads anywhere else. */
export interface AskedFile {
  readonly vdisk: string;
  readonly version: string;
  readonly name: string;
}

export function mayFetch(decision: BootDecision, asked: AskedFile): boolean {
  if (decision.kind !== 'boot') return false;
  const files = kernelFiles(decision);
  return (
    files !== undefined &&
    asked.vdisk === decision.vdisk.name &&
    asked.version === String(decision.version.number) &&
    (asked.name === files.kernel || asked.name === files.initrd)
  );
}
