/** A worker thread of the native transport. It ends when told to stop; whatever it throws ends the server. */
import { workerData } from 'node:worker_threads';
import { Loop, type LoopOptions } from './loop.ts';
import { native } from './sodium.ts';

const loaded = native();
if (!loaded.ok) throw new Error(loaded.error.message);
const options: LoopOptions = workerData;
new Loop(loaded.value, options).run();
options.port.close();
