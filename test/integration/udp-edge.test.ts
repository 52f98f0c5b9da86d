/** Every UDP edge of a server against packets of nobody, and against each other. */
import { loopContract, sourceContract } from '../contract/udp-edge.ts';

sourceContract('tftp');
sourceContract('dhcp');
sourceContract('pxe');
sourceContract('peers');

loopContract([
  'tftp',
  'tftp transfer, its client',
  'tftp transfer, a stranger',
  'dhcp',
  'pxe',
  'peers',
  'stream, plain',
  'stream, native',
]);
